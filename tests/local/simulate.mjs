// Runs `@cloud-copilot/iam-simulate`: reads a JSON list of simulations from standard input, writes the results to standard output.
import { json } from 'node:stream/consumers'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const results = (await json(process.stdin)).map(async (simulation) => {
  const { overallResult, result, errors } = await runSimulation(simulation, {})
  return { decision: overallResult, ignored: result?.ignoredContextKeys, errors }
})
console.log(JSON.stringify(await Promise.all(results)))

// What IAM decides: simulations of `@cloud-copilot/iam-simulate` as a JSON list on standard input, its answers on standard output.
import { json } from 'node:stream/consumers'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const answers = (await json(process.stdin)).map(async (simulation) => {
  const { overallResult, result, errors } = await runSimulation(simulation, {})
  return { decision: overallResult, ignored: result?.ignoredContextKeys, errors }
})
console.log(JSON.stringify(await Promise.all(answers)))

// What IAM decides: simulations of `@cloud-copilot/iam-simulate` as a JSON list on standard input, its answers on standard output.
import { json } from 'node:stream/consumers'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const simulations = await json(process.stdin)
console.log(JSON.stringify(await Promise.all(simulations.map((simulation) => runSimulation(simulation, {})))))

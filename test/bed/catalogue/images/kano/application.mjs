// A stand-in for an application of Kalisio: the real feathers-distributed, and one service to distribute.
// Besides its name it reads only the variables that the catalogue gives to Kano and Weacast; the library reads them.
import os from 'node:os'
import { feathers } from '@feathersjs/feathers'
import express, { json, rest } from '@feathersjs/express'
import distribution from '@kalisio/feathers-distributed'

const name = process.env.APP_NAME
const app = express(feathers())
app.use(json())
app.configure(rest())
app.configure(distribution({ key: name }))
app.use(`${name}-instances`, { async find () { return [{ application: name, host: os.hostname() }] } })
for (const path of ['/api/capabilities', '/api/healthcheck']) app.get(path, (_, response) => response.json({ name }))
app.listen(8081)

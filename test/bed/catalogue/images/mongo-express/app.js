// Version 1.0, which the catalogue has, cannot be installed from npm. Version 1.1 reads the server's address only as a whole,
// listens on one address, has no secrets of its own for cookies and sessions, and asks the reader for a server where it finds
// none. Like version 1.0, this ends then, and Swarm starts it again.
const { ME_CONFIG_MONGODB_SERVER: server, ME_CONFIG_MONGODB_PORT: port } = process.env
process.env.ME_CONFIG_MONGODB_URL ??= `mongodb://${server}:${port}`
process.env.VCAP_APP_HOST = '0.0.0.0'
process.env.ME_CONFIG_SITE_COOKIESECRET ??= 'cookiesecret'
process.env.ME_CONFIG_SITE_SESSIONSECRET ??= 'sessionsecret'

const { hostname, port: number } = new URL(process.env.ME_CONFIG_MONGODB_URL)
const probe = require('node:net').connect({ host: hostname, port: number || 27017 })
probe.on('error', error => {
  console.error(`mongo-express: ${hostname} cannot be reached: ${error.message}`)
  process.exit(1)
})
probe.on('connect', () => {
  probe.end()
  import('/app/node_modules/mongo-express/app.js')
})

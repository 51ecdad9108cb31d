// Version 1.0, which the catalogue has, cannot be installed from npm. Version 1.1 reads the server's address only as a whole,
// listens on one address, and has no secrets of its own for cookies and sessions.
const { ME_CONFIG_MONGODB_SERVER: server, ME_CONFIG_MONGODB_PORT: port } = process.env
process.env.ME_CONFIG_MONGODB_URL ??= `mongodb://${server}:${port}`
process.env.VCAP_APP_HOST = '0.0.0.0'
process.env.ME_CONFIG_SITE_COOKIESECRET ??= 'cookiesecret'
process.env.ME_CONFIG_SITE_SESSIONSECRET ??= 'sessionsecret'
import('/app/node_modules/mongo-express/app.js')

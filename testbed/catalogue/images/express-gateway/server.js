// The gateway looks for plugins from here: ./plugins/metrics.js is in /plugins.
require('/app/node_modules/express-gateway')().load(process.env.EG_CONFIG_DIR).run()

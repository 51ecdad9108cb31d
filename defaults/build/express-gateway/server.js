// Packages of plugins are looked for from here: ./plugins/metrics.js is
// /plugins/metrics.js.
require('express-gateway')().load(process.env.EG_CONFIG_DIR).run()

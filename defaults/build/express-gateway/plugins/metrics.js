// The policy `metrics` counts what goes through an endpoint; the admin API shows
// the counts to Prometheus. The names are those of the catalogue's dashboards.
const { Counter, register } = require('prom-client')

const requests = new Counter({
  name: 'eg',
  help: 'Requests by consumer, endpoint and outcome.',
  labelNames: ['type', 'status_code', 'consumer', 'api_endpoint']
})

module.exports = {
  version: '1.2.0',
  policies: ['metrics'],
  init (context) {
    const { endpointName } = context.settings || {}
    context.registerPolicy({
      name: 'metrics',
      policy: () => (req, res, next) => {
        res.once('finish', () => requests.inc({
          type: res.statusCode >= 200 && res.statusCode < 300 ? 'SUCCESS' : 'FAILED',
          status_code: res.statusCode,
          // Known only now: the policies that ask for credentials come later.
          consumer: req.headers['eg-consumer-id'] || 'anonymous',
          api_endpoint: req.egContext.apiEndpoint.apiEndpointName
        }))
        next()
      }
    })
    context.registerAdminRoute(app => app.get(endpointName || '/metrics', async (req, res) => {
      res.type(register.contentType).send(await register.metrics())
    }))
  }
}

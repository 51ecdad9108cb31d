// Counts requests for the policy `metrics`, and shows the count in the admin API.
let requests = 0

module.exports = {
  version: '1.2.0',
  policies: ['metrics'],
  init (context) {
    context.registerPolicy({
      name: 'metrics',
      policy: () => (req, res, next) => { requests++; next() }
    })
    context.registerAdminRoute(app => app.get('/metrics', (req, res) => {
      res.type('text/plain').send(`# TYPE gateway_requests_total counter\ngateway_requests_total ${requests}\n`)
    }))
  }
}

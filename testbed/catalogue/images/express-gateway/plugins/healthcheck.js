module.exports = {
  version: '1.2.0',
  init (context) {
    context.registerGatewayRoute(app => app.get('/healthcheck', (req, res) => res.sendStatus(200)))
  }
}

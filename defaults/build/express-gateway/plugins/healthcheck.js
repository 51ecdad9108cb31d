// A route of the gateway that answers as long as it runs.
module.exports = {
  version: '1.2.0',
  init (context) {
    const { endpointName } = context.settings || {}
    context.registerGatewayRoute(app => app.get(endpointName || '/healthcheck', (req, res) => res.sendStatus(200)))
  }
}

// What is asked, and what happens when there is no answer. Nothing, until a
// file of the same path in the workspace says more, such as
//
//   jobs: {
//     kano: {
//       cron: '0 */5 * * * *',
//       url: `https://kano.${process.env.SUBDOMAIN}/api/capabilities`,
//       notify: error => ({ text: error ? `Kano: ${error.message}` : 'Kano is back' })
//     }
//   }

module.exports = {
  docker: { socketPath: '/var/run/docker.sock' },
  jobs: {}
}

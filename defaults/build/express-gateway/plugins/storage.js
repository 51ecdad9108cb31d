// A route of the admin API that serves objects of S3 stores:
// /s3/[PROVIDER/]BUCKET/KEY, with ranges. Without a provider's name the default
// one is asked. A provider without both of its keys is left out.
const { S3Client, GetObjectCommand, HeadObjectCommand } = require('@aws-sdk/client-s3')

module.exports = {
  version: '1.2.0',
  init (context) {
    const { providers = {}, endpointName = '/s3' } = context.settings || {}
    const { clients, standard } = clientsOf(providers)
    context.registerAdminRoute(app => app.get(`${endpointName}/*`, (req, res) => serve(clients, standard, req, res, context.logger)))
  }
}

function clientsOf (providers) {
  const clients = {}
  let standard
  for (const [name, { accessKeyId, secretAccessKey, endpoint, region, default: isDefault }] of Object.entries(providers)) {
    if (!accessKeyId || !secretAccessKey) continue
    clients[name] = new S3Client({
      credentials: { accessKeyId, secretAccessKey },
      region: region || 'us-east-1', // stores with an endpoint of their own mostly do not mind
      ...(endpoint ? { endpoint, forcePathStyle: true } : {})
    })
    if (isDefault || !standard) standard = name
  }
  return { clients, standard }
}

// locate takes a path below the route apart.
function locate (path, clients, standard) {
  const parts = path.split('/').filter(part => part !== '')
  const provider = Object.hasOwn(clients, parts[0]) ? parts.shift() : standard
  const [bucket, ...key] = parts
  return { client: clients[provider], bucket, key: key.join('/') }
}

async function serve (clients, standard, req, res, logger) {
  const { client, bucket, key } = locate(req.params[0], clients, standard)
  if (!client || !bucket || !key) return res.sendStatus(404)
  const command = req.method === 'HEAD' ? HeadObjectCommand : GetObjectCommand
  try {
    const object = await client.send(new command({ Bucket: bucket, Key: key, Range: req.headers.range }))
    res.status(object.ContentRange ? 206 : 200)
    const headers = {
      'Content-Type': object.ContentType,
      'Content-Length': object.ContentLength,
      'Content-Range': object.ContentRange,
      'Accept-Ranges': 'bytes',
      ETag: object.ETag,
      'Last-Modified': object.LastModified && object.LastModified.toUTCString()
    }
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) res.set(name, String(value))
    if (!object.Body) return res.end()
    object.Body.on('error', () => res.destroy())
    object.Body.pipe(res)
  } catch (error) {
    const status = (error.$metadata && error.$metadata.httpStatusCode) || 502
    if (status >= 500) logger.error(`storage: ${error.name}`)
    res.sendStatus(status)
  }
}

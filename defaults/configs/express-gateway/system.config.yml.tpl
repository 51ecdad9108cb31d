# What the gateway runs on: its store, and the plugins of the image.
# A plain configs/express-gateway/system.config.yml in the workspace replaces it.

db:
  redis:
    host: redis
    port: 6379
    namespace: EG

plugins:
  metrics:
    package: ./plugins/metrics.js
  scopes:
    package: ./plugins/scopes.js
  healthcheck:
    package: ./plugins/healthcheck.js
  # Makes users and keys what consumers.config.js says.
  populate:
    package: ./plugins/populate.js
  # Serves stored objects below /s3. A provider without both keys is left out.
  storage:
    package: ./plugins/storage.js
    endpointName: /s3
    providers:
      aws:
        accessKeyId: "${AWS_S3_ACCESS_KEY}"
        secretAccessKey: "${AWS_S3_SECRET_ACCESS_KEY}"
        default: true
      ovh:
        endpoint: "${OVH_S3_ENDPOINT}"
        accessKeyId: "${OVH_S3_ACCESS_KEY}"
        secretAccessKey: "${OVH_S3_SECRET_ACCESS_KEY}"
      scw:
        endpoint: "${SCW_S3_ENDPOINT}"
        accessKeyId: "${SCW_S3_ACCESS_KEY}"
        secretAccessKey: "${SCW_S3_SECRET_ACCESS_KEY}"

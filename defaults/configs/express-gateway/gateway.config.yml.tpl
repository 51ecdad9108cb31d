# What the gateway serves, to whom, and from where.
# A plain configs/express-gateway/gateway.config.yml in the workspace replaces it.

http:
  port: 8080
admin:
  host: localhost
  port: 9876

# Of two endpoints whose paths fit, the first one serves: /ows/wmts* stands
# before /ows*. MapCache writes addresses below /ows into its capabilities.
apiEndpoints:
  admin:
    host: express-gateway
  prometheus:
    host: "*"
    paths: /metrics
  wmts:
    host: "*"
    paths: ["/wmts*", "/ows/wmts*"]
    scopes: [wmts]
  tms:
    host: "*"
    paths: ["/tms*", "/ows/tms*"]
    scopes: [tms]
  wms:
    host: "*"
    paths: ["/wms*", "/ows*"]
    scopes: [wms]
  wfs:
    host: "*"
    paths: "/wfs*"
    scopes: [wfs]
  wcs:
    host: "*"
    paths: "/wcs*"
    scopes: [wcs]
  k2:
    host: "*"
    paths: "/k2/*"
    scopes: [k2]
  storage:
    host: "*"
    paths: "/s3/*"
    scopes: [s3]
  capture:
    host: "*"
    paths: /capture
    scopes: [capture]

serviceEndpoints:
  admin:
    url: http://localhost:9876
  prometheus:
    url: http://localhost:9876/metrics
  wmts:
    url: http://mapcache:80/mapcache/wmts
  tms:
    url: http://mapcache:80/mapcache/tms
  wms:
    url: http://mapserver:80/cgi-bin/mapserv
  wfs:
    url: http://mapserver:80/cgi-bin/wfs
  wcs:
    url: http://mapserver:80/cgi-bin/wcs
  k2:
    url: http://k2:8080
  storage:
    url: http://localhost:9876/s3
  capture:
    url: http://kapture:3000

policies:
  - basic-auth
  - cors
  - jwt
  - log
  - metrics
  - proxy
  - rate-limit
  - response-transformer
  - scopes
  - terminate

pipelines:
  admin:
    apiEndpoints: [admin]
    policies:
      - proxy:
          - action:
              serviceEndpoint: admin
              changeOrigin: true
              stripPath: true
  prometheus:
    apiEndpoints: [prometheus]
    policies:
      - proxy:
          - action:
              serviceEndpoint: prometheus
              changeOrigin: true
              stripPath: true

  # Map services ask for a name and a password, as desktop programs know them,
  # or a token. They have two minutes (in milliseconds) to draw a map.
  wmts:
    apiEndpoints: [wmts]
    policies:
      - metrics:
      - cors:
      # Each of the next steps is for who is nobody yet after those before it.
      - basic-auth: &password
          - condition: &nobody
              name: anonymous
            action:
              passThrough: true
      - jwt: &bearer-token
          - condition: *nobody
            action:
              jwtExtractor: authBearer
              secretOrPublicKey: "${EXPRESS_GATEWAY_KEY_SECRET}"
              audience: "${SUBDOMAIN}"
              checkCredentialExistence: true
              passThrough: true
      - jwt: &token-in-address
          - condition: *nobody
            action:
              jwtExtractor: query
              jwtExtractorField: jwt
              secretOrPublicKey: "${EXPRESS_GATEWAY_KEY_SECRET}"
              audience: "${SUBDOMAIN}"
              checkCredentialExistence: true
              passThrough: true
      # Makes desktop programs ask for the password.
      - response-transformer: &challenge
          - condition: *nobody
            action:
              headers:
                add:
                  WWW-Authenticate: "'Basic realm=\"maps\"'"
      - terminate: &refuse
          - condition: *nobody
            action:
              statusCode: 401
      - scopes:
      - proxy:
          - action:
              serviceEndpoint: wmts
              changeOrigin: true
              stripPath: true
              proxyTimeout: 120000
              timeout: 120000
  tms:
    apiEndpoints: [tms]
    policies:
      - metrics:
      - cors:
      - basic-auth: *password
      - jwt: *bearer-token
      - jwt: *token-in-address
      - response-transformer: *challenge
      - terminate: *refuse
      - scopes:
      - proxy:
          - action:
              serviceEndpoint: tms
              changeOrigin: true
              stripPath: true
              proxyTimeout: 120000
              timeout: 120000
  wms:
    apiEndpoints: [wms]
    policies:
      - metrics:
      - cors:
      - basic-auth: *password
      - jwt: *bearer-token
      - jwt: *token-in-address
      - response-transformer: *challenge
      - terminate: *refuse
      - scopes:
      - proxy:
          - action:
              serviceEndpoint: wms
              changeOrigin: true
              stripPath: true
              proxyTimeout: 120000
              timeout: 120000

  # These want a token.
  wfs:
    apiEndpoints: [wfs]
    policies:
      - metrics:
      - cors:
      - jwt: *bearer-token
      - jwt: *token-in-address
      - terminate: *refuse
      - scopes:
      - proxy:
          - action:
              serviceEndpoint: wfs
              changeOrigin: true
              stripPath: true
              proxyTimeout: 120000
              timeout: 120000
  wcs:
    apiEndpoints: [wcs]
    policies:
      - metrics:
      - cors:
      - jwt: *bearer-token
      - jwt: *token-in-address
      - terminate: *refuse
      - scopes:
      - proxy:
          - action:
              serviceEndpoint: wcs
              changeOrigin: true
              stripPath: true
              proxyTimeout: 120000
              timeout: 120000
  k2:
    apiEndpoints: [k2]
    policies:
      - metrics:
      - cors:
      - jwt: *bearer-token
      - jwt: *token-in-address
      - terminate: *refuse
      - scopes:
      - proxy:
          - action:
              serviceEndpoint: k2
              changeOrigin: true
              stripPath: true
              proxyTimeout: 120000
              timeout: 120000
  storage:
    apiEndpoints: [storage]
    policies:
      - metrics:
      - cors:
      - jwt: *bearer-token
      - jwt: *token-in-address
      - terminate: *refuse
      - scopes:
      - proxy:
          - action:
              serviceEndpoint: storage
              changeOrigin: true
              stripPath: true
              proxyTimeout: 120000
              timeout: 120000

  # Takes a token where there is one, and lets through who has none.
  capture:
    apiEndpoints: [capture]
    policies:
      - metrics:
      - cors:
      - jwt: *bearer-token
      - proxy:
          - action:
              serviceEndpoint: capture
              changeOrigin: true
              stripPath: false
              proxyTimeout: 120000
              timeout: 120000

module.exports = {
  scopes: ['wms', 'wmts', 'tms', 'wfs', 'wcs', 'k2', 's3', 'capture'],
  users: {
    customer: {
      desktop: {
        scopes: ['wms'],
        credential: { type: 'basic-auth', password: 'desktop-pw' }
      },
      viewer: {
        scopes: ['wms', 'wmts'],
        credential: { type: 'jwt', keyId: 'viewer-key', keySecret: 'unused' }
      },
      tiles: {
        scopes: ['wmts'],
        credential: { type: 'jwt', keyId: 'tiles-key', keySecret: 'unused' }
      }
    }
  }
}

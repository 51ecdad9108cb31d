module.exports = {
  scopes: ['wms', 'wmts', 'tms', 'wfs', 'wcs', 'k2', 's3', 'capture'],
  users: {
    customer: {
      desktop: {
        scopes: ['wms'],
        credential: { type: 'basic-auth', password: 'desktop-pw' }
      }
    }
  }
}

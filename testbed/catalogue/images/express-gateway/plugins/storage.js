// No object storage is to be had in the test bed.
module.exports = { version: '1.2.0', init () {} }

# Rendered from the workspace's environment; all servers of the set share it.
# A plain configs/mongors/mongodb.conf in the workspace replaces it.

storage:
  # Where the volume is mounted.
  dbPath: /data/db

net:
  port: 27017
  # The container's own addresses; who reaches them is up to the back network.
  bindIpAll: true

replication:
  replSetName: "${MONGORS_NAME}"

# Without systemLog, mongod writes to standard output, as containers should.

module mongodb

go 1.26

tool github.com/FerretDB/FerretDB/cmd/ferretdb

require github.com/FerretDB/FerretDB v1.24.2

// A stub; see ARCHITECTURE.md.
module go.etcd.io/etcd/raft/v3

go 1.26

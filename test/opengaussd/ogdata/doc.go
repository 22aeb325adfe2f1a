// Package ogdata makes small openGauss data directories that change between
// backups, and knows what a server would report about each change.
//
// It owns the files of the cluster, its WAL (through ogwal), pg_control,
// checkpoints and the changed block map; the protocol lives in
// test/opengaussd. A cluster is made of real files of an openGauss 6.0.2
// server (testdata/README.md) and of relations built here from formats.md §7,
// whose pages, checksums and compressed blocks are computed independently of
// internal/pgdata, so that a mistake there does not hide itself here.
//
//	cluster.go     directories, tablespaces, checkpoints, pg_control
//	image.go       the real files
//	page.go        pages of all layout versions, checksums
//	relation.go    what can happen to a relation
//	compressed.go  row-compressed relations
//	cbm.go         what the changed block map says about it
//	mutate.go      the scripted life of the cluster
//	tree.go        states of the directory, compared with a restored one
package ogdata

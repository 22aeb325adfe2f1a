package pgdata

import (
	"encoding/binary"
	"errors"
)

// RelMapName is the base name of the file that tells which files the mapped
// system catalogs of a database have.
const RelMapName = "pg_filenode.map"

// PgClassOid is the oid of pg_class, a mapped catalog.
const PgClassOid = 1259

// MappedFile finds the relfilenode of a catalog in a pg_filenode.map; 0 if it is
// not mapped. The beginning of the file is the same in all releases (the
// server's relmapper.cpp):
//
//	0  u32  magic 0x592717, or 0x592718 in a file of 4 KiB
//	4  i32  number of mappings
//	8  {u32 oid, u32 relfilenode}[]
func MappedFile(raw []byte, oid uint32) (uint32, error) {
	const head, size = 8, 8
	if len(raw) < head {
		return 0, errors.New("read relation map: it is too short")
	}
	le := binary.LittleEndian
	magic, n := le.Uint32(raw), le.Uint32(raw[4:])
	if magic != 0x592717 && magic != 0x592718 || uint64(n) > uint64(len(raw)-head)/size {
		return 0, errors.New("read relation map: it has another format")
	}
	for i := range int(n) {
		if m := raw[head+i*size:]; le.Uint32(m) == oid {
			return le.Uint32(m[4:]), nil
		}
	}
	return 0, nil
}

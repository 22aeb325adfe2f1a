//go:build !amd64

package pgdata

func sumRows(b []byte, mask *rowMask) uint32 { return sumRowsGo(b, mask) }

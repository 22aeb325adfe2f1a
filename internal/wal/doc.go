// Package wal understands the write-ahead log of openGauss and PostgreSQL.
//
// It owns log positions (LSN), segment file names, page and record layouts,
// the streaming record Reader, range checks and searches over segments,
// recovery time, the rules for a backup's stop position and timeline history
// files. It leaves receiving WAL from a server to wal/walstream, waiting and
// message texts to the use cases, and the meaning of records (apart from
// their time stamps) to the server. It only reads.
//
// A log is a stream of 8192-byte pages cut into segment files of 1 MiB to
// 1 GiB (16 MiB by default). All integers are little endian.
//
// Page header (formats.md §10.2), the same in both families:
//
//	off  type  short header                    long header (first page of a segment)
//	  0  u16   magic: 0xD074 openGauss, 0xD1xx PostgreSQL by major
//	  2  u16   info: 1 first-is-continuation, 2 long header, 4 removable,
//	           8 first-is-overwrite-contrecord (PostgreSQL)
//	  4  u32   timeline
//	  8  u64   page address
//	 16  u32   bytes left of the continued record
//	 20  u32   padding (openGauss: total length, always 0)
//	 24  u64   -                               system identifier
//	 32  u32   -                               segment size
//	 36  u32   -                               page size, 8192
//
// Record header (formats.md §10.3, server.md §4.5); records start on a
// multiple of 8, the header itself may be split over two pages:
//
//	openGauss, 32 bytes          PostgreSQL, 24 bytes
//	 0  u32  total length         0  u32  total length
//	 4  u32  term                 4  u32  xid
//	 8  u64  xid                  8  u64  previous record
//	16  u64  previous record     16  u8   info
//	24  u8   info                17  u8   resource manager
//	25  u8   resource manager    18  u16  padding
//	26  u16  bucket              20  u32  crc
//	28  u32  crc
//
// The crc is CRC-32C over the body, then over the header before the crc.
package wal

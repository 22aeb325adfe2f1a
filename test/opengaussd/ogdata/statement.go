package ogdata

import (
	"fmt"

	"gsprobackup/internal/wal"
	"gsprobackup/test/opengaussd/ogwal"
)

// Statement logs changes up to each of the positions and their commit in the
// compact form, as most statements of a server end.
func (c *Cluster) Statement(upTo ...wal.LSN) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	xid := c.nextXID
	c.nextXID++
	for _, lsn := range upTo {
		if err := c.fill(xid, lsn); err != nil {
			return err
		}
	}
	_, _, err := c.wal.Append(ogwal.CompactCommit(xid, xid, c.opts.Now()))
	return err
}

// fill logs one change that ends at upTo, on the same page.
func (c *Cluster) fill(xid uint64, upTo wal.LSN) error {
	const header, short, long = 32, 2, 5 // of the record and of its data
	at := c.wal.Next()
	size := int64(upTo) - int64(at) - header - short
	if size > 255 {
		size += short - long
	}
	if size < 0 {
		return fmt.Errorf("log a change from %s to %s: no room", at, upTo)
	}
	_, end, err := c.wal.Append(ogwal.Noop(xid, make([]byte, size)))
	if err == nil && end != upTo {
		err = fmt.Errorf("log a change from %s to %s: it ends at %s", at, upTo, end)
	}
	return err
}

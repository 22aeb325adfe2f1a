package checker

import "path/filepath"

// chains checks what only shows across backups (§5.7, §13 (6)): each parent is
// there and older, an unchanged file has a full copy further up, and each block
// of a data file is in some member. backups are sorted by ID.
func (c *check) chains(backups []*backup) {
	byID := map[string]*backup{}
	for _, b := range backups {
		byID[b.id] = b
	}
	for _, b := range backups {
		chain := []*backup{b}
		for m := b; m.mode != "FULL"; {
			parent := byID[m.parent]
			if parent == nil || parent.id >= m.id {
				if b.status != "ORPHAN" {
					c.bad(b.dir, "§3.4", "status %s, but parent %s is not a finished backup", b.status, m.parent)
				}
				chain = nil
				break
			}
			chain = append(chain, parent)
			m = parent
		}
		if len(chain) > 1 {
			c.chain(chain)
		}
	}
}

// chain is newest first and ends with the FULL.
func (c *check) chain(chain []*backup) {
	index := make([]map[string]*entry, len(chain))
	for i, b := range chain {
		index[i] = map[string]*entry{}
		for _, e := range b.entries {
			index[i][e.key()] = e
		}
	}
	for _, e := range chain[0].entries {
		rel := filepath.Join(chain[0].place(e.external), e.path)
		switch {
		case !e.regular():
		case e.data:
			c.chainBlocks(chain, index, e, rel)
		case e.size == -1:
			c.chainCopy(chain, index, e, rel)
		}
	}
}

// chainCopy: the parents list the file, up to one that stores it, with the
// same CRC.
func (c *check) chainCopy(chain []*backup, index []map[string]*entry, e *entry, rel string) {
	for i := 1; i < len(chain); i++ {
		p := index[i][e.key()]
		switch {
		case p == nil:
			c.bad(rel, "§5.7", "unchanged, but not listed in parent %s", chain[i].id)
			return
		case p.size >= 0:
			if p.crc != e.crc {
				c.bad(rel, "§4.3", "unchanged with crc %d, backup %s stores crc %d", e.crc, chain[i].id, p.crc)
			}
			return
		}
	}
	c.bad(rel, "§5.7", "no backup of the chain stores it")
}

// chainBlocks: a note only, since growth of unlogged relations and by zero
// pages is not tracked.
func (c *check) chainBlocks(chain []*backup, index []map[string]*entry, e *entry, rel string) {
	if e.size == 0 {
		return
	}
	have := make([]bool, e.nBlocks)
	for i, b := range chain {
		p := index[i][e.key()]
		if p == nil || !p.data {
			continue
		}
		for _, block := range b.blocks[e.path] {
			if int64(block) < e.nBlocks {
				have[block] = true
			}
		}
	}
	missing := 0
	for _, ok := range have {
		if !ok {
			missing++
		}
	}
	if missing > 0 {
		c.note(rel, "§13 (6)", "%d of %d blocks are in no backup of the chain", missing, e.nBlocks)
	}
}

// Package covering chooses few combinations of many options such that every
// choice for any three of them occurs together in at least one: faults of
// programs nearly always need no more than three options to meet.
//
// It owns the construction only; what the options are is the test's business.
package covering

import "math/rand/v2"

// candidates is how many rows are tried for each row that is taken. More give
// fewer rows and take longer.
const candidates = 20

// Rows gives combinations for parameters that have levels[i] values each: row
// r[i] is the value of parameter i, from 0. Every three values of different
// parameters are together in at least one row. The result is the same each
// time.
//
// The construction is the greedy one of AETG: a row is grown parameter by
// parameter, each time with the value that covers most of what is missing.
func Rows(levels []int) [][]int {
	m := newMissing(levels)
	rng := rand.New(rand.NewPCG(1, 2))
	var rows [][]int
	for m.count > 0 {
		var best []int
		gain := -1
		for range candidates {
			row := m.grow(rng)
			if n := m.each(row, func(int) {}); n > gain {
				best, gain = row, n
			}
		}
		m.cover(best)
		rows = append(rows, best)
	}
	return rows
}

// missing is the set of triples, values of three parameters a < b < c, that no
// row has yet.
type missing struct {
	levels []int
	first  [][][]int // index of the first triple of a, b, c
	list   []bool
	seeds  [][]int // by index, as a row with -1 for what is open
	count  int
}

func newMissing(levels []int) *missing {
	m := &missing{levels: levels, first: make([][][]int, len(levels))}
	for a := range levels {
		m.first[a] = make([][]int, len(levels))
		for b := a + 1; b < len(levels); b++ {
			m.first[a][b] = make([]int, len(levels))
			for c := b + 1; c < len(levels); c++ {
				m.first[a][b][c] = m.count
				m.count += levels[a] * levels[b] * levels[c]
			}
		}
	}
	m.list = make([]bool, m.count)
	m.seeds = make([][]int, m.count)
	for a := range levels {
		for b := a + 1; b < len(levels); b++ {
			for c := b + 1; c < len(levels); c++ {
				m.fill(a, b, c)
			}
		}
	}
	return m
}

// fill enters the triples of three parameters.
func (m *missing) fill(a, b, c int) {
	for va := range m.levels[a] {
		for vb := range m.levels[b] {
			for vc := range m.levels[c] {
				row := make([]int, len(m.levels))
				for i := range row {
					row[i] = -1
				}
				row[a], row[b], row[c] = va, vb, vc
				at := m.index(row, a, b, c)
				m.list[at], m.seeds[at] = true, row
			}
		}
	}
}

// index is the number of the row's triple of parameters a < b < c.
func (m *missing) index(row []int, a, b, c int) int {
	return m.first[a][b][c] + (row[a]*m.levels[b]+row[b])*m.levels[c] + row[c]
}

// grow makes a row around one missing triple.
func (m *missing) grow(rng *rand.Rand) []int {
	seed := rng.IntN(len(m.list))
	for !m.list[seed] {
		seed = (seed + 1) % len(m.list)
	}
	row := append([]int(nil), m.seeds[seed]...)
	for _, p := range rng.Perm(len(row)) {
		if row[p] >= 0 {
			continue
		}
		best, chosen := -1, 0
		for _, v := range rng.Perm(m.levels[p]) {
			row[p] = v
			if n := m.gain(row, p); n > best {
				best, chosen = n, v
			}
		}
		row[p] = chosen
	}
	return row
}

// gain counts the missing triples with parameter p.
func (m *missing) gain(row []int, p int) int {
	n := 0
	for a := range row {
		if a == p || row[a] < 0 {
			continue
		}
		for b := a + 1; b < len(row); b++ {
			if b == p || row[b] < 0 {
				continue
			}
			x, y, z := a, b, p
			switch {
			case p < a:
				x, y, z = p, a, b
			case p < b:
				y, z = p, b
			}
			if m.list[m.index(row, x, y, z)] {
				n++
			}
		}
	}
	return n
}

// each calls found for the missing triples of a whole row and counts them.
func (m *missing) each(row []int, found func(index int)) int {
	n := 0
	for a := range row {
		for b := a + 1; b < len(row); b++ {
			for c := b + 1; c < len(row); c++ {
				if at := m.index(row, a, b, c); m.list[at] {
					n++
					found(at)
				}
			}
		}
	}
	return n
}

// cover takes the triples of a row out.
func (m *missing) cover(row []int) {
	m.count -= m.each(row, func(at int) { m.list[at] = false })
}

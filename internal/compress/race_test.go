//go:build race

package compress

// raceEnabled: the race detector makes sync.Pool forget at random.
const raceEnabled = true

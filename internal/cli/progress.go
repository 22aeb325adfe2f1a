package cli

import (
	"fmt"
	"strings"
	"time"
)

// barCells is the width of the C tool's bar; on a narrow terminal it may
// shrink to minCells.
const (
	barCells = 50
	minCells = 10
)

// progress is how far a phase is, in files and in bytes. totalBytes is 0 where
// bytes are not counted.
type progress struct {
	done, total       int
	bytes, totalBytes int64
}

func (p progress) percent() int {
	if p.total <= 0 {
		return 100
	}
	return p.done * 100 / p.total
}

func (p progress) cells(n int) string {
	filled := min(p.percent()*n/100, n)
	return strings.Repeat("=", filled) + strings.Repeat(" ", n-filled)
}

// line is the C tool's bar (spec/cli.md §7.6).
func (p progress) line(counting, tail string) string {
	return fmt.Sprintf("Progress: [%s] %d%% (%d/%d, %s/total_files). %s ",
		p.cells(barCells), p.percent(), p.done, p.total, counting, tail)
}

// fit is the bar for a terminal of that many columns, with pace at its end.
// The last column stays free, for some terminals wrap as soon as it is taken.
// 0 columns are no terminal: the C tool's line and nothing else.
func (p progress) fit(columns int, counting, tail, pace string) string {
	line := p.line(counting, tail)
	if columns <= 0 {
		return line
	}
	room := columns - 1
	if pace != "" {
		pace = " " + pace
	}
	if len(line)+len(pace) <= room {
		return line + pace
	}
	rest := fmt.Sprintf("%d%% (%d/%d) %s%s", p.percent(), p.done, p.total, tail, pace)
	if cells := min(room-len("Progress: [] ")-len(rest), barCells); cells >= minCells {
		return "Progress: [" + p.cells(cells) + "] " + rest
	}
	return rest[:min(len(rest), room)]
}

// pace tells rate and remaining time after a while of work; "" as long as
// nothing can be said.
func (p progress) pace(elapsed time.Duration) string {
	if elapsed < barInterval || p.done <= 0 {
		return ""
	}
	seconds := elapsed.Seconds()
	rate := fmt.Sprintf("%.0f files/s", float64(p.done)/seconds)
	left := float64(p.total-p.done) / float64(p.done)
	if p.totalBytes > 0 && p.bytes > 0 {
		rate = prettySize(int64(float64(p.bytes)/seconds)) + "/s"
		left = float64(max(p.totalBytes-p.bytes, 0)) / float64(p.bytes)
	}
	const longest = 100 * 24 * 3600 // more is no estimate, or no number
	return fmt.Sprintf("%s, ETA %s", rate, prettyTime(time.Duration(min(left*seconds, longest))*time.Second))
}

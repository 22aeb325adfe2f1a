package cli

import (
	"fmt"
	"time"
)

// prettySize prints a number of bytes as the C tool does (spec/cli.md §8.1):
// whole units, and the next unit only above 10239 of the smaller one.
func prettySize(n int64) string {
	const limit = 10 * 1024
	if n <= 0 {
		return "0"
	}
	if n < limit {
		return fmt.Sprintf("%dB", n)
	}
	half := n >> 9 // halves of the unit, for rounding
	for _, unit := range []string{"kB", "MB", "GB"} {
		if half < 2*limit-1 {
			return fmt.Sprintf("%d%s", (half+1)/2, unit)
		}
		half >>= 10
	}
	return fmt.Sprintf("%dTB", (half+1)/2)
}

// prettyTime prints a duration in its two largest units.
func prettyTime(d time.Duration) string {
	s := int64(d / time.Second)
	if s <= 0 {
		return "0"
	}
	days, hours, minutes := s/86400, s/3600%24, s/60%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd:%dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh:%dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm:%ds", minutes, s%60)
	}
	return fmt.Sprintf("%ds", s)
}

package remote

import "context"

// Far is a Host on which each request takes a round trip.
type Far interface {
	// Workers is how many workers, each waiting for its answers, keep the
	// host as busy as n would with files of their own machine.
	Workers(n int) int
}

// Workers is how many workers to set on h to do the work of n.
func Workers(h Host, n int) int {
	n = max(n, 1)
	if f, ok := h.(Far); ok {
		return f.Workers(n)
	}
	return n
}

// Ahead is a Reader on a Far host: it is told what it will be asked, so that
// answers are on their way while earlier ones are used. Each announced call
// must be made, with the same arguments and in the order of the
// announcements; other calls may come between. After an error other than one
// of the file the announcements are void.
type Ahead interface {
	Reader
	// Room tells whether another call may be announced.
	Room() bool
	AnnounceRun(ctx context.Context, req *RunRequest) error
	// AnnounceCopy wants to know about how much the file has.
	AnnounceCopy(ctx context.Context, req CopyRequest, size int64) error
	AnnounceChecksum(ctx context.Context, path string) error
}

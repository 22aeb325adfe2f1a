package archive

// Pushed says that a file is in the archive. Present is set when the very same
// content was there before.
type Pushed struct {
	Name    string
	Present bool
}

// PushFailed says that a further file of a batch could not be archived; the
// server will ask for it again.
type PushFailed struct {
	Name string
	Err  error
}

// Fetched says that a file was given to the server.
type Fetched struct{ Name string }

// DamagedBehind says that a damaged segment counts as missing, because recovery
// ends before it.
type DamagedBehind struct{ Err error }

// PrefetchFailed says that a segment the server will want next could not be
// prepared. It is fetched again when it is asked for.
type PrefetchFailed struct {
	Name string
	Err  error
}

package server

// QuerySent is emitted before a statement goes to the server (the C tool's
// VERBOSE lines "(query) %s" and "\t(param:%d) = %s").
type QuerySent struct {
	SQL  string
	Args []string
}

// Notice is a NOTICE or WARNING of the server. C's libpq prints Text raw to
// stderr.
type Notice struct {
	Severity string // "NOTICE", "WARNING", … possibly localized
	Code     string // SQLSTATE
	Text     string // libpq's form: "WARNING:  …\n" with detail and hint lines
}

// CancelSent says that a running statement was asked to stop (the C tool's
// WARNING "Cancel request sent").
type CancelSent struct{}

// ReplicationCommandFailed precedes the error "Cannot continue backup because
// stream connect has failed." (the C tool's WARNING `Could not send
// replication command "%s": %s`).
type ReplicationCommandFailed struct {
	Command string
	Message string // libpq's form, ends with a line feed
}

// StaleTablespaceMap says that a lost backup session had left tablespace_map
// in an openGauss data directory and that it was cleared (spec/server.md
// §2.2).
type StaleTablespaceMap struct{}

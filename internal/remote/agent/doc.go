// Package agent carries remote.Host over a pipe to another machine.
//
// It owns the seam to whatever reaches the other machine (Link, Channel), the
// wire protocol with its two ends (Connect and Serve), and what the far end
// refuses to do. It leaves ssh to sshlink, the work on files to remote, the
// confinement of paths to fsx, and all words printed to internal/cli.
//
// # The pipe
//
// First the greetings. Both have the 16 bytes of the C agent's header, four
// little-endian u32 (spec/server.md §5.3), so that a C tool at either end gets
// or gives a clear error:
//
//	             op  handle      size   arg
//	client       0   0x42505347  0      major<<16 | revision
//	agent        0   0xC2D0D3C7  n      major<<16 | revision, then n bytes hello
//	client       u32 n, n bytes hello
//	to a C tool  0   as sent     0      29999, and 29 (error) to what it sends next
//
//	hello: text program version, u32 revision, u64 feature bits,
//	       u32 heartbeat interval in ms
//
// The majors must be the same. The revision grows with each request or field
// that is added: what an older peer does not send is zero, what a newer one
// sends behind the known fields is passed over. Then frames, both ways:
//
//	 0  u32  n, bytes of body
//	 4  u8   type: 1 message, 2 credit, 3 close, 4 heartbeat
//	 5  u8   kind of the message (messages.go), else 0
//	 6  u16  0
//	 8  u32  stream, 0 for a heartbeat only
//	12  n    body: of a message up to 2 MiB + 64 KiB, of a credit a u32, else none
//
// Numbers are little-endian, a text is a u32 length and its bytes, a list a
// u32 count and its elements.
//
// # Streams
//
// A stream is a conversation: requests and their answers, in order, handled by
// one goroutine at the agent with at most one reader, one writer and one file.
// The client opens one by using a new number and ends it with close, which
// also cancels what is being done for it. Host methods share a few streams,
// each Reader, Writer and FileWriter has its own. A request may be sent before
// earlier ones are answered, so a line is kept full however long it is: a
// reader is told by pagecopy what it will be asked next (remote.Ahead), and a
// file is written without waiting.
//
// Each side may have 4 MiB of messages on a stream that the other has not
// taken, each counted with 64 bytes more than its body; credit gives back what
// was taken. The sides never read a pipe slower than the other fills it for
// want of a consumer: messages wait in their stream. So memory is bounded by
// the windows of the streams in use, at the agent by 64 MiB for all that waits
// and by 256 readers and writers with their buffers.
//
// # The end
//
// Whoever has nothing to send sends a heartbeat, 4 s apart; who hears nothing
// for three of the other's intervals gives up, whatever it is waiting for.
// Bytes of any kind count, so a slow line is not a dead one. A client ends an
// agent by closing its input. Each ends everything it has begun when the pipe
// ends; the agent leaves no file or process of its own behind.
package agent

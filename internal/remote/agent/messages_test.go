package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"reflect"
	"syscall"
	"testing"
	"time"

	"gsprobackup/internal/compress"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
)

// fill gives every field of v a value that is not zero, so that one which a
// message forgets is missed.
func fill(t *testing.T, rnd *rand.Rand, v reflect.Value) {
	t.Helper()
	if !v.CanSet() {
		t.Fatalf("%s cannot be sent", v.Type())
	}
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Unix(rnd.Int64N(1<<32), rnd.Int64N(1e9))
		return
	case *compress.Algorithm:
		*x = compress.Zstd
		return
	case *pgdata.Family:
		*x = pgdata.PostgreSQL
		return
	case *pgdata.ExtentLayout:
		*x = pgdata.MixedOf7
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text\xff %d", rnd.IntN(100)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(1 + rnd.Int64N(100))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1 + rnd.Uint64N(100))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fill(t, rnd, v.Index(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, rnd, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, rnd, v.Field(i))
		}
	default:
		t.Fatalf("%s is of no kind a message has", v.Type())
	}
}

// Every field of what travels travels, and less than a whole message, or more,
// is an error.
func TestMessagesAreComplete(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	same := peer{revision: revision}
	for _, m := range []message{
		new(pathMessage), new(pathsMessage), new(twoPaths), new(pathMode), new(int64Message), new(boolMessage), new(bytesMessage),
		new(listMessage), new(infoMessage), new(entriesMessage), new(readFileMessage), new(readAtMessage), new(readAtAnswer),
		new(compressedInfoAnswer), new(checksumAnswer), new(fileSumsAnswer), new(sumMessage), new(pageSumsAnswer), new(volumeAnswer),
		new(createMessage), new(errorMessage), new(copyMessage),
	} {
		fill(t, rnd, reflect.ValueOf(m).Elem())
		body := encode(nil, m)
		got := reflect.New(reflect.TypeOf(m).Elem()).Interface().(message)
		if p, ok := got.(*pageSumsAnswer); ok {
			p.PageSums = new(remote.PageSums)
		}
		if err := decode(body, got, same); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%T: %+v, want %+v; %v", m, got, m, err)
		}
		_, bulk := m.(*bytesMessage)
		if _, at := m.(*readAtAnswer); bulk || at {
			continue
		}
		for n := range len(body) {
			if err := decode(body[:n], got, same); err == nil {
				t.Errorf("%T: %d of %d bytes went through", m, n, len(body))
			}
		}
		if err := decode(append(body, 0), got, same); err == nil {
			t.Errorf("%T: one byte too many went through", m)
		}
		// A newer peer may say more, an older one less.
		if err := decode(append(body, 0), got, peer{revision: revision + 1}); err != nil {
			t.Errorf("%T of a newer peer: %v", m, err)
		}
		if err := decode(nil, got, peer{revision: revision - 1}); err != nil {
			t.Errorf("%T of an older peer: %v", m, err)
		}
	}
}

func fillButMaps(t *testing.T, rnd *rand.Rand, v reflect.Value) {
	for i := range v.NumField() {
		switch v.Type().Field(i).Name {
		case "Map", "Marked", "Floor":
		default:
			fill(t, rnd, v.Field(i))
		}
	}
}

// The messages with bounds of their own.
func TestRunMessageIsComplete(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var q runMessage
	fillButMaps(t, rnd, reflect.ValueOf(&q.RunRequest).Elem())
	fillButMaps(t, rnd, reflect.ValueOf(&q.Floor).Elem())
	q.From, q.To = 3, 130
	q.Floor.Marked = ptrack.NewPageMap(0)
	q.Floor.Marked.Add(77)
	var got runMessage
	if err := decode(encode(nil, &q), &got, peer{revision: revision}); err != nil || !reflect.DeepEqual(got, q) {
		t.Errorf("%+v, want %+v; %v", got, q, err)
	}
	var run, back remote.Run
	fill(t, rnd, reflect.ValueOf(&run).Elem())
	bulk, err := decodeHead(encodeHead(nil, &runAnswer{&run}), &runAnswer{&back}, peer{revision: revision})
	back.Frames = run.Frames
	if err != nil || len(bulk) != 0 || !reflect.DeepEqual(run, back) {
		t.Errorf("%+v, want %+v; %v", back, run, err)
	}
}

// Errors keep what is inside them, as one fault.
func TestErrorsTravel(t *testing.T) {
	err := fmt.Errorf("outer: %w", errors.Join(
		usererr.Wrap(&pgdata.CorruptionError{Path: "/p", Block: 7, Expected: 1, Found: 2, Reason: "why"}, "C's words").WithHint("do this"),
		&os.LinkError{Op: "rename", Old: "/a", New: "/b", Err: syscall.EXDEV},
		fmt.Errorf("%w: %w", remote.ErrVanished, &fs.PathError{Op: "open", Path: "/gone", Err: syscall.ENOENT}),
	))
	var m errorMessage
	if derr := decode(encode(nil, errorFrom(err)), &m, peer{revision: revision}); derr != nil {
		t.Fatal(derr)
	}
	got := m.err()
	var user *usererr.Error
	var damage *pgdata.CorruptionError
	var link *os.LinkError
	var path *fs.PathError
	if !errors.As(got, &user) || user.Text != "C's words" || user.Hint != "do this" ||
		!errors.As(got, &damage) || *damage != (pgdata.CorruptionError{Path: "/p", Block: 7, Expected: 1, Found: 2, Reason: "why"}) ||
		!errors.As(got, &link) || link.New != "/b" || !errors.As(got, &path) || path.Path != "/gone" ||
		!errors.Is(got, remote.ErrVanished) || !errors.Is(got, syscall.EXDEV) || !errors.Is(got, fs.ErrNotExist) {
		t.Errorf("%#v", m)
	}
	if _, list := got.(interface{ Unwrap() []error }); list || got.Error() != err.Error() {
		t.Errorf("%v, want %v as one fault", got, err)
	}
}

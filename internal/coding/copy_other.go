//go:build !linux

package coding

type (
	copies struct{}
	copied struct{}
)

// A File says where a text lies in a file.
type File struct {
	Descriptor int
	Offset     int64
}

// File returns where the text lies in a file: in none, on this system.
func (*Text) File(Coding) (File, bool) { return File{}, false }

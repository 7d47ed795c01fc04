//go:build !amd64

package match

// classifyWhole describes as much of a text as there are blocks for.
func classifyWhole(text []byte, blocks []block) { classifyBytes(text, blocks) }

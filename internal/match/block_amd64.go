package match

import "golang.org/x/sys/cpu"

// classifyWhole describes as much of a text as there are blocks for.
func classifyWhole(text []byte, blocks []block) {
	if len(blocks) == 0 {
		return
	}
	if !cpu.X86.HasAVX2 {
		classifyBytes(text, blocks)
		return
	}
	_ = text[len(blocks)*blockBytes-1] // the assembly does not look
	classifyAVX2(&text[0], &blocks[0], len(blocks))
}

// classifyAVX2 describes n blocks of text. Two look-ups by half a byte, as in
// simdjson (G. Langdale, D. Lemire, 2019), say for 32 bytes at once what they
// are.
//
//go:noescape
func classifyAVX2(text *byte, blocks *block, n int)

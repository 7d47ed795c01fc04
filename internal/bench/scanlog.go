package bench

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
)

// segmentBytes is after how much a made-up log repeats itself: far more than
// what of it a processor's caches hold.
const segmentBytes = 64 << 20

// plantEvery is in how many lines one has an indicator: 0.1 %.
const plantEvery = 1000

// tops are what made-up names end in, those that are looked for and those that
// are not, so that no name is refused by its end alone.
//
//nolint:gochecknoglobals // constants that Go has no word for
var tops = [...]string{"example", "test", "invalid", "localhost", "example.net", "example.org", "example.com"}

// mix spreads a number over 64 bits (splitmix64: G. Steele, D. Lea, C. Flood, 2014).
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// appendLookedFor writes value number n of what is looked for, in the
// proportions of real feeds: of 30 there are 7 addresses, 3 with a port, 18
// names, a URL and a hash. The last two bits of an address say what it is for.
func appendLookedFor(b []byte, n uint64) []byte {
	h := mix(n)
	switch n % 30 {
	case 0:
		return fmt.Appendf(b, "http://bad-%d.%s/p/%x.php", n, tops[h%uint64(len(tops))], h>>40)
	case 1, 2, 3, 4, 5, 6, 7:
		return appendAddress(b, h&^3|1)
	case 8, 9, 10:
		return strconv.AppendUint(append(appendAddress(b, h&^3|2), ':'), h>>48|1, 10)
	case 11:
		return fmt.Appendf(b, "%016x%016x%016x%016x", h, mix(h), mix(h+1), n)
	}
	return fmt.Appendf(b, "w%x.bad-%d.%s", h>>36, n%100_003, tops[h%uint64(len(tops))])
}

// appendAddress writes an IPv4 address from anywhere that is neither private
// nor multicast.
func appendAddress(b []byte, h uint64) []byte {
	b = strconv.AppendUint(b, 11+h>>40%116, 10)
	for _, shift := range []uint64{16, 8, 0} {
		b = strconv.AppendUint(append(b, '.'), h>>shift&255, 10)
	}
	return b
}

// A lineMaker writes line number n of a log. Where name and address stand, it
// puts those that it is given.
type lineMaker func(b []byte, n uint64, name, address []byte) []byte

// zeekRun is how many lines of a Zeek log follow one line of names.
const zeekRun = 100_000

// makers are the kinds of logs that are scanned.
//
//nolint:gochecknoglobals // constants that Go has no word for
var makers = map[string]lineMaker{"text": textLine, "zeek": zeekLine, "json": jsonLine}

func textLine(b []byte, n uint64, name, address []byte) []byte {
	h := mix(n)
	switch n % 4 {
	case 0:
		return fmt.Appendf(b, "Nov 23 10:%02d:%02d web%d sshd[%d]: Failed password for invalid user admin from %s port %d ssh2\n", n/60%60, n%60, n%7, h>>50, address, 1024+h>>51)
	case 1:
		return fmt.Appendf(b, "Nov 23 10:%02d:%02d ns%d named[811]: client @0x7f%08x 10.%d.%d.%d#%d (%s): query: %s IN A +E(0)K (10.0.0.53)\n", n/60%60, n%60, n%3, h>>32, h>>8&3, h>>10&255, h>>18&255, 1024+h>>51, name, name)
	}
	return fmt.Appendf(b, "Nov 23 10:%02d:%02d web%d nginx: %s - - [23/Nov/2025:10:05:%02d +0000] \"GET /images/%d/%x.png?v=%d HTTP/1.1\" 200 %d \"https://%s/a/b.html\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\"\n",
		n/60%60, n%60, n%7, address, n%60, h%1000, h>>30, h>>60, h>>46, name)
}

func zeekLine(b []byte, n uint64, name, address []byte) []byte {
	h := mix(n)
	if n/zeekRun%2 == 0 {
		if n%zeekRun == 0 {
			b = append(b, "#separator \\x09\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\thistory\tserver_name\n"...)
		}
		return fmt.Appendf(b, "1600963320.%06d\tC%016x\t10.%d.%d.%d\t%d\t%s\t443\ttcp\tssl\t0.%06d\t%d\t%d\tSF\tShADadFf\t%s\n", h%1_000_000, h, h>>8&3, h>>10&255, h>>18&255, 1024+h>>51, address, h>>44, h>>52, h>>44, name)
	}
	if n%zeekRun == 0 {
		b = append(b, "#separator \\x09\n#path\tdns\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\ttrans_id\tquery\tqtype_name\trcode_name\tanswers\tTTLs\n"...)
	}
	return fmt.Appendf(b, "1600963320.%06d\tC%016x\t10.%d.%d.%d\t%d\t10.0.0.53\t53\tudp\t%d\t%s\tA\tNOERROR\t%s\t300.000000\n", h%1_000_000, h, h>>8&3, h>>10&255, h>>18&255, 1024+h>>51, h>>48, name, address)
}

func jsonLine(b []byte, n uint64, name, address []byte) []byte {
	h := mix(n)
	if n%2 == 0 {
		return fmt.Appendf(b, `{"ts":1600963320.%06d,"uid":"C%016x","id.orig_h":"10.%d.%d.%d","id.orig_p":%d,"id.resp_h":"%s","id.resp_p":443,"proto":"tcp","duration":0.%06d,"orig_bytes":%d,"conn_state":"SF","server_name":"%s"}`+"\n",
			h%1_000_000, h, h>>8&3, h>>10&255, h>>18&255, 1024+h>>51, address, h>>44, h>>52, name)
	}
	return fmt.Appendf(b, `{"ts":1600963320.%06d,"uid":"C%016x","id.orig_h":"10.%d.%d.%d","id.orig_p":%d,"id.resp_h":"10.0.0.53","id.resp_p":53,"query":"%s","qtype_name":"A","rcode_name":"NOERROR","answers":["%s"],"rejected":false}`+"\n",
		h%1_000_000, h, h>>8&3, h>>10&255, h>>18&255, 1024+h>>51, name, address)
}

// makeSegment makes what a log consists of: a line in a thousand has the name or
// the address of one of the first few values that are looked for. It returns
// the places at which one has to be found.
func makeSegment(line lineMaker, size int, few uint64) (text []byte, planted int64) {
	text = make([]byte, 0, size+1024)
	var name, address [96]byte
	for n := uint64(0); len(text) < size; n++ {
		h := mix(n ^ 1<<40)
		host := fmt.Appendf(name[:0], "www%d.shop-%d.%s", h&63, h>>40, tops[h>>8%uint64(len(tops))])
		from := appendAddress(address[:0], h&^3)
		twice := int64(0)
		if n%plantEvery == plantEvery-1 {
			v := h % (few / 30) * 30
			if n%(2*plantEvery) < plantEvery {
				from = appendLookedFor(address[:0], v+1+h>>60%7)
			} else {
				host = appendLookedFor(name[:0], v+12+h>>60%16)
			}
			twice = 1
		}
		before := len(text)
		text = line(text, n, host, from)
		if twice > 0 {
			planted += int64(countOf(text[before:], host, from, n%(2*plantEvery) < plantEvery))
		}
	}
	return text, planted
}

// countOf returns how often what was planted stands in a line.
func countOf(line, host, address []byte, isAddress bool) (n int) {
	what := host
	if isAddress {
		what = address
	}
	for at := 0; at+len(what) <= len(line); at++ {
		if string(line[at:at+len(what)]) == string(what) {
			n++
		}
	}
	return n
}

// writeRepeated writes a segment to a file until it has so many bytes or a few
// more, and returns how often it did.
func writeRepeated(path string, segment []byte, size int64) (times int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, fmt.Errorf("log: %w", err)
	}
	for written := int64(0); written < size; written += int64(len(segment)) {
		if _, err := f.Write(segment); err != nil {
			_ = f.Close() // the write says what is wrong
			return 0, fmt.Errorf("log: %w", err)
		}
		times++
	}
	return times, f.Close() //nolint:wrapcheck // it says which file
}

// writeList writes the values [from, to) of what is looked for, one a line.
func writeList(path string, from, to uint64) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var b []byte
	for n := from; n < to; n++ {
		b = append(appendLookedFor(b[:0], n), '\n')
		_, _ = w.Write(b) // Flush says what is wrong
	}
	if err := w.Flush(); err != nil {
		_ = f.Close() // the write says what is wrong
		return fmt.Errorf("list: %w", err)
	}
	return f.Close() //nolint:wrapcheck // it says which file
}

package stix

import (
	"testing"
	"time"
)

func TestIdentifiersAreATypeAndAUUID(t *testing.T) {
	const uuid = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
	long := string(make([]byte, 0))
	for len(long) < 250 {
		long += "a"
	}
	for id, want := range map[string]string{
		"indicator--" + uuid:       "indicator",
		"x-a--" + uuid:             "x-a",
		"x-a---" + uuid:            "x-a-",
		"abc--" + uuid:             "abc",
		long + "--" + uuid:         long,
		long + "a--" + uuid:        "",
		"ab--" + uuid:              "",
		"--" + uuid:                "",
		uuid:                       "",
		"":                         "",
		"indicator-" + uuid:        "",
		"Indicator--" + uuid:       "",
		"9dicator--" + uuid:        "",
		"-dicator--" + uuid:        "",
		"in--dic--" + uuid:         "",
		"indicator--" + uuid + " ": "",
		" indicator--" + uuid:      "",
		"indicator--8E2E2D2B-17d4-4cbf-938f-98ee46b3cd3f":  "",
		"indicator--8e2e2d2b-17d4-4cbf-138f-98ee46b3cd3f":  "",
		"indicator--8e2e2d2b-17d4-4cbf-c38f-98ee46b3cd3f":  "",
		"indicator--8e2e2d2b517d4-4cbf-938f-98ee46b3cd3f":  "",
		"indicator--8e2e2d2g-17d4-4cbf-938f-98ee46b3cd3f":  "",
		"indicator--{8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f": "",
	} {
		objectType, got, ok := SplitID(id)
		if ok != (want != "") || objectType != want || ok && got != uuid {
			t.Errorf("SplitID(%q) = %q, %q, %v, want %q", id, objectType, got, ok, want)
		}
		if got := cutID([]byte(id)) >= 0; got != ok {
			t.Errorf("cutID(%q) = %v, want %v as SplitID says", id, got, ok)
		}
	}
	if UUID(uuid+"0") || !UUID(uuid) {
		t.Error("UUID() does not want 36 characters")
	}
}

func TestUUIDv5IsThatOfTheStandard(t *testing.T) {
	// RFC 9562 §A.4.
	dns := [16]byte{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	if got, want := UUIDv5(dns, []byte("www.example.com")), "2ed6657d-e927-568b-95e1-2665a8aea6a2"; got != want {
		t.Errorf("UUIDv5(www.example.com) = %s, want %s", got, want)
	}
}

func TestTimesAreReadInUTC(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-11-23T09:30:00Z":           time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC),
		"2026-11-23T09:30:00.5Z":         time.Date(2026, 11, 23, 9, 30, 0, 500_000_000, time.UTC),
		"2026-11-23T09:30:00.000001Z":    time.Date(2026, 11, 23, 9, 30, 0, 1000, time.UTC),
		"9999-12-31T23:59:59.999999999Z": time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		"2024-02-29T00:00:00Z":           time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC),
		"2000-02-29T00:00:00Z":           time.Date(2000, 2, 29, 0, 0, 0, 0, time.UTC),
		"0001-01-01T00:00:00Z":           time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, ok := ParseTime(text); !ok || !got.Equal(want) {
			t.Errorf("ParseTime(%q) = %v, %v, want %v", text, got, ok, want)
		}
		if again, err := time.Parse(time.RFC3339Nano, text); err != nil || !again.Equal(want) {
			t.Errorf("time.Parse(%q) = %v, %v, want %v", text, again, err, want)
		}
	}
}

func TestWhatIsNoTimeIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "2026", "2026-11-23", "2026-11-23T09:30Z", "2026-11-23T09:30:00", "2026-11-23T09:30:00z", "2026-11-23t09:30:00Z",
		"2026-11-23 09:30:00Z", "2026-11-23T09:30:00+00:00", "2026-11-23T09:30:00.Z", "2026-11-23T09:30:00,5Z",
		"2026-11-23T09:30:00.0000000001Z", "2026-11-23T24:00:00Z", "2026-11-23T09:60:00Z", "2026-06-30T23:59:60Z",
		"2026-00-23T09:30:00Z", "2026-13-23T09:30:00Z", "2026-11-00T09:30:00Z", "2026-11-31T09:30:00Z", "2026-02-29T00:00:00Z",
		"2100-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "-001-01-01T00:00:00Z", "2026-11-23T09:30:00.-5Z", "2026-11-23T09:30:0xZ",
		"２０２６-11-23T09:30:00Z", "2026-1-023T09:30:00Z", "+026-11-23T09:30:00Z", "12026-11-23T09:30:00Z",
	} {
		if got, ok := ParseTime(text); ok {
			t.Errorf("ParseTime(%q) = %v, want refusal", text, got)
		}
	}
}

func TestTimesOrderAsTexts(t *testing.T) {
	times := []string{
		"2025-12-31T23:59:59.999999999Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z", "2026-01-01T00:00:00.0001Z",
		"2026-01-01T00:00:00.001Z", "2026-01-01T00:00:00.01Z", "2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.123Z",
		"2026-01-01T00:00:00.123000001Z", "2026-01-01T00:00:00.9Z", "2026-01-01T00:00:01Z",
	}
	sign := func(n int) int { return max(-1, min(1, n)) }
	for i, a := range times {
		for j, b := range times {
			if got, want := sign(compareTimes([]byte(a), []byte(b))), sign(i-j); got != want {
				t.Errorf("compareTimes(%s, %s) = %d, want %d", a, b, got, want)
			}
		}
	}
	for _, same := range []string{"2026-01-01T00:00:00Z", "2026-01-01T00:00:00.0Z", "2026-01-01T00:00:00.000000Z"} {
		if got := compareTimes([]byte(same), []byte("2026-01-01T00:00:00.000Z")); got != 0 {
			t.Errorf("compareTimes(%s, the same) = %d, want 0", same, got)
		}
	}
}

func TestRandomUUIDsAreOfVersionFourAndNeverTheSame(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		u := UUIDv4()
		if !UUID(u) || u[14] != '4' || seen[u] {
			t.Fatalf("UUIDv4() = %s, want a new UUID of version 4", u)
		}
		seen[u] = true
	}
}

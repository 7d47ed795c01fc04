package tlp

import "testing"

func TestEveryLabelIsItsOwnMarkingsLabel(t *testing.T) {
	for l := Clear; l <= Red; l++ {
		if got, ok := FromMarking(l.Marking()); !ok || got != l {
			t.Errorf("FromMarking(%v.Marking()) = %v, %v, want %v", l, got, ok, l)
		}
		if got, ok := Parse(l.String()); !ok || got != l {
			t.Errorf("Parse(%q) = %v, %v, want %v", l.String(), got, ok, l)
		}
	}
}

func TestTLP1IsReadAsTLP2(t *testing.T) {
	for id, want := range map[string]Label{
		"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": Clear,
		"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": Green,
		"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": Amber,
		"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": Red,
	} {
		if got, ok := FromMarking(id); !ok || got != want {
			t.Errorf("FromMarking(%s) = %v, %v, want %v", id, got, ok, want)
		}
	}
}

func TestParseRefusesWhatIsNoLabel(t *testing.T) {
	for _, s := range []string{"", "TLP:", "TLP:PURPLE", "AMBER STRICT", "TLP:TLP:RED"} {
		if got, ok := Parse(s); ok {
			t.Errorf("Parse(%q) = %v, want refusal", s, got)
		}
	}
}

func TestWhiteIsClear(t *testing.T) {
	if got, ok := Parse("tlp:white"); !ok || got != Clear {
		t.Errorf("Parse(tlp:white) = %v, %v, want CLEAR", got, ok)
	}
}

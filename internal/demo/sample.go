package demo

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the sample's files
	"fmt"
	"io"
	"strings"
)

// The sample is real: see sample/NOTICE.md for sources and licenses.
var (
	//go:embed sample/attack.json.gz
	attackSample []byte
	//go:embed sample/indicators.json.gz
	indicatorSample []byte
)

// samples returns the bundles that the demo loads before the story begins.
func samples() ([][]byte, error) {
	var all [][]byte
	for _, packed := range [][]byte{attackSample, indicatorSample} {
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, fmt.Errorf("sample: %w", err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return nil, fmt.Errorf("sample: %w", err)
		}
		all = append(all, text)
	}
	return all, nil
}

// network is who takes part: two companies, and a government agency whose
// token is bound to a purpose.
const network = `
organizations:
  - name: alpha-bank
    title: Alpha Bank
    kind: company
    users:
      - name: analyst
        tokens: [{name: demo, role: writer}]
  - name: bravo-power
    title: Bravo Power
    kind: company
    users:
      - name: agent
        tokens: [{name: demo, role: writer}]
  - name: cyber-agency
    title: National Cyber Agency
    kind: government
    users:
      - name: watch-floor
        tokens: [{name: demo, role: reader, purpose: "protect critical infrastructure from the shared threat"}]
communities:
  - name: finance-and-energy
    title: Finance and energy
    description: Where the demo's three members share.
    default_tlp: amber
    members:
      - {organization: alpha-bank, role: writer}
      - {organization: bravo-power, role: writer}
      - {organization: cyber-agency, role: reader}
    collections:
      - {alias: alerts, title: Alerts, description: Threats that members have seen}
`

// Where the demo's members share.
const (
	Community  = "finance-and-energy"
	Collection = "alerts"
)

const (
	phishingSite  = "login.alpha-bank-secure.example"
	attackerMail  = "support@alpha-bank-secure.example"
	victimMailbox = "j.doe@alpha-bank.example"
	victimUser    = "jdoe42"
	indicatorID   = "indicator--5f4c8d2e-7a1b-4c3d-9e8f-0a1b2c3d4e5f"
)

// finding is what Alpha Bank's analyst writes down: the site, the mail that led
// to it, and more about a colleague than anybody needs. Times are filled in.
func finding(identity, now string) []byte {
	const text = `{"type":"bundle","id":"bundle--0b6c2f5a-5d0e-4f39-8a53-2f4f6d1f7c11","objects":[
{"type":"indicator","spec_version":"2.1","id":"INDICATOR","created_by_ref":"IDENTITY","created":"NOW","modified":"NOW",
 "name":"Phishing site against bank customers","indicator_types":["malicious-activity"],
 "pattern":"[domain-name:value = 'SITE']","pattern_type":"stix","valid_from":"NOW",
 "object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"]},
{"type":"email-addr","spec_version":"2.1","id":"email-addr--7c3f1c5e-0b1a-4c77-8f0e-3c6b7a1d2e01","value":"ATTACKER"},
{"type":"email-addr","spec_version":"2.1","id":"email-addr--7c3f1c5e-0b1a-4c77-8f0e-3c6b7a1d2e02","value":"VICTIM"},
{"type":"email-message","spec_version":"2.1","id":"email-message--2f6d3b9c-8a47-4d55-9a0c-5b8e6f7a1c03","is_multipart":false,
 "subject":"Your account is locked","from_ref":"email-addr--7c3f1c5e-0b1a-4c77-8f0e-3c6b7a1d2e01",
 "to_refs":["email-addr--7c3f1c5e-0b1a-4c77-8f0e-3c6b7a1d2e02"]},
{"type":"report","spec_version":"2.1","id":"report--9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c04","created_by_ref":"IDENTITY","created":"NOW","modified":"NOW",
 "name":"Phishing against bank customers","published":"NOW","report_types":["indicator"],
 "description":"A mail from ATTACKER reached VICTIM and led to https://SITE/signin. The attachment was saved as C:\\Users\\USER\\Downloads\\invoice.html before it was opened.",
 "object_refs":["INDICATOR","email-message--2f6d3b9c-8a47-4d55-9a0c-5b8e6f7a1c03"],
 "object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"]}]}`
	return []byte(strings.NewReplacer("INDICATOR", indicatorID, "IDENTITY", identity, "NOW", now, "SITE", phishingSite,
		"ATTACKER", attackerMail, "VICTIM", victimMailbox, "USER", victimUser).Replace(text))
}

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tocsin/internal/hubclient"
	"tocsin/internal/minimize"
	"tocsin/stix"
)

// The levels of consent of CISA's AIS: to whom the submitter's identity may go.
const (
	consentEveryone = "everyone"
	consentUSG      = "usg"  // the federal government only
	consentNone     = "none" // nobody
)

// settleConsent makes --consent and --anonymous say the same.
func (o *submitFlags) settleConsent() error {
	switch o.consent {
	case "":
		if o.anonymous {
			o.consent = consentNone
		}
	case consentEveryone:
		if o.anonymous {
			return usage("--anonymous and --consent everyone contradict each other", "choose one")
		}
	case consentUSG, consentNone:
		o.anonymous = true
	default:
		return usage("this is no level of consent: "+safe(o.consent), "write everyone, usg or none")
	}
	return nil
}

// government returns the government's organizations among those who may be
// told, besides the submitter's own. Without any, consent to name oneself to
// them would be a promise that nobody keeps.
func government(ctx context.Context, h *hubclient.Client, t target, who hubclient.Me) (names []string, err error) {
	seen, err := h.Audience(ctx, t.community, "", t.to)
	if err != nil {
		return nil, fmt.Errorf("audience: %w", err)
	}
	for _, o := range seen.Organizations {
		if o.Kind == "government" && o.Name != who.Organization.Name {
			names = append(names, o.Name)
		}
	}
	if len(names) == 0 {
		return nil, &failure{code: ExitNo, what: "no organization of the government would see this", next: "share it with --consent none or --consent everyone"}
	}
	slices.Sort(names)
	return names, nil
}

// mostNamed is how many objects one note names.
const mostNamed = 1000

// nameTo tells some organizations alone who submitted objects that do not say so:
// with a note on them, and the submitter's identity with its consent as AIS
// writes it in STIX 2.1, a label (docs/markings.md). Nobody else can see either.
func (a *app) nameTo(ctx context.Context, h *hubclient.Client, o submitFlags, who hubclient.Me, objects []minimize.Object, to []string) error {
	now := time.Now().UTC().Truncate(time.Hour).Format("2006-01-02T15:04:05.000Z")
	identity := map[string]any{
		"type": "identity", "spec_version": "2.1", "id": who.Organization.Identity, "created": now, "modified": now,
		"name": orElse(who.Organization.Title, who.Organization.Name), "identity_class": "organization", "labels": []string{"ais-consent-usg"},
	}
	var ids []string
	for _, object := range objects {
		ids = append(ids, object.ID())
	}
	slices.Sort(ids)
	for part := range slices.Chunk(slices.Compact(ids), mostNamed) {
		note := map[string]any{
			"type": "note", "spec_version": "2.1", "id": "note--" + stix.UUIDv4(), "created": now, "modified": now, "created_by_ref": who.Organization.Identity,
			"content": "The creator of this note submitted these objects, and consents that only the federal government learns it (AIS consent: USG).", "object_refs": part,
		}
		body, err := json.Marshal(map[string]any{"objects": []any{identity, note}})
		if err != nil {
			return fmt.Errorf("note: %w", err)
		}
		made, err := h.Submit(ctx, o.community, o.collection, body, to)
		if err != nil {
			return fmt.Errorf("it is shared, but the note that names you is not: %w", err)
		}
		if len(made.Failures) > 0 {
			return &failure{code: ExitNo, what: "it is shared, but the hub refused the note that names you: " + safe(made.Failures[0].Detail)}
		}
		if _, err := saveReceipt(ctx, h, made.ID, o.receipts); err != nil {
			return err
		}
	}
	if !a.json {
		a.say("%s a note names you to %s alone", a.out(green, "✓"), a.organizations(to))
	}
	return nil
}

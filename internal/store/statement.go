package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"tocsin"
	"tocsin/internal/member"
	"tocsin/receipt"
)

// What stores say to the ledger besides what a [Recording] says.

// Ref names a version that is being withdrawn.
func (s Sibling) Ref(id string) receipt.ObjectRef {
	return receipt.ObjectRef{ID: id, Version: s.name(), SHA256: hex.EncodeToString(s.Sum), Seq: s.Seq}
}

// Record returns what the ledger says of a withdrawal of versions.
func (w Withdrawal) Record(hub string, at time.Time, versions []receipt.ObjectRef) (receipt.Record, error) {
	s := receipt.Withdrawal{
		Hub: hub, Time: at, Organization: w.Who.Organization.Name, User: w.Who.User,
		Community: w.Community, Collection: w.Collection, Versions: versions, Reason: w.Reason, Cause: w.Cause, Rule: w.Rule,
	}
	if ids := w.IDs(); len(ids) == 1 {
		s.ID = ids[0]
	}
	return receipt.NewRecord(s)
}

// DisclosureRecords returns what the ledger says of reads. A read without a time
// is one of now.
func DisclosureRecords(hub string, reads []receipt.Disclosure) ([]receipt.Record, error) {
	records := make([]receipt.Record, len(reads))
	for i, d := range reads {
		d.Hub = hub
		if d.Time.IsZero() {
			d.Time = time.Now()
		}
		var err error
		if records[i], err = receipt.NewRecord(d); err != nil {
			return nil, fmt.Errorf("disclosure: %w", err)
		}
	}
	return records, nil
}

// DirectoryRecord returns what the ledger says of a change of the directory.
func DirectoryRecord(hub string, changed []member.Record, change member.Change) (receipt.Record, error) {
	statement := receipt.Directory{
		Hub: hub, Time: time.Now(), Organization: change.Organization, User: change.User,
		Summary: change.Summary, Changes: make([]receipt.Change, len(changed)),
	}
	for i, m := range changed {
		statement.Changes[i] = receipt.Change{Subject: m.Kind, Key: m.Key, Deleted: m.Deleted}
		if !m.Deleted {
			sum := sha256.Sum256(m.Doc)
			statement.Changes[i].SHA256 = hex.EncodeToString(sum[:])
		}
	}
	record, err := receipt.NewRecord(statement)
	if err != nil {
		return receipt.Record{}, fmt.Errorf("directory: %w", err)
	}
	return record, nil
}

// Busy is the answer when there is no room for more.
func Busy() error {
	return &tocsin.Error{
		Kind: tocsin.Busy, Message: "the hub cannot store more at the moment; nothing of this request was stored",
		Hint: "send it again in a few seconds",
	}
}

// NoSubmission and NoReceipt are what strangers are told.
func NoSubmission() error {
	return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such submission"}
}

// NoReceipt is the answer when a leaf of the ledger is not there.
func NoReceipt() error {
	return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such receipt"}
}

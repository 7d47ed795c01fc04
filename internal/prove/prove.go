// Package prove gives members the records that concern them, each with its proof.
package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"tocsin"
	"tocsin/internal/store"
	"tocsin/receipt"
	"tocsin/stix"
)

// Records are what the ledger holds commitments to.
type Records interface {
	Submission(ctx context.Context, id string) (store.Recorded, error)
	Receipt(ctx context.Context, leaf int64) (receipt.Proof, error)
	List(ctx context.Context, kind, community string, from int64, most int) ([]store.Leaf, error)
}

// A Service decides who may have which record. It is safe for concurrent use.
type Service struct{ Records Records }

// A Submission is what became of a submission.
type Submission = store.Recorded

func notFound() *tocsin.Error {
	return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such record"}
}

// Submission returns what became of a submission, not found for anybody but
// the organization that made it.
func (s *Service) Submission(ctx context.Context, who tocsin.Member, id string) (Submission, error) {
	if !stix.UUID(id) {
		return Submission{}, notFound()
	}
	made, err := s.Records.Submission(ctx, id)
	e, known := errors.AsType[*tocsin.Error](err)
	switch {
	case known && e.Kind == tocsin.NotFound, err == nil && made.Organization != who.Organization.Name:
		return Submission{}, notFound() // in the same words
	case err != nil:
		return Submission{}, fmt.Errorf("submission: %w", err)
	}
	return made, nil
}

// SubmissionReceipt returns the proof of a submission's record, not found for
// anybody but the organization that made it.
func (s *Service) SubmissionReceipt(ctx context.Context, who tocsin.Member, id string) (receipt.Proof, error) {
	made, err := s.Submission(ctx, who, id)
	if err != nil {
		return receipt.Proof{}, err
	}
	return s.receipt(ctx, made.Leaf)
}

func (s *Service) receipt(ctx context.Context, leaf int64) (receipt.Proof, error) {
	proof, err := s.Records.Receipt(ctx, leaf)
	if err != nil {
		return receipt.Proof{}, fmt.Errorf("receipt: %w", err)
	}
	return proof, nil
}

// A Disclosure is one read by an institution, and its record's number in the
// ledger.
type Disclosure struct {
	receipt.Disclosure

	Leaf int64
}

// A list looks at no more than so many records, full or not: the reads of
// companies are records as well, and are nobody else's business.
const (
	recordsPerStep = 500
	stepsPerList   = 10
)

// Disclosures returns what institutions read in a community, oldest first,
// from a record's number on, at most so many. Next is the number to go on from:
// at once when there may be more, else later. Whoever has no part in the
// community gets not found.
func (s *Service) Disclosures(ctx context.Context, who tocsin.Member, community string, from int64, most int) (found []Disclosure, next int64, more bool, err error) {
	if who.Role(community) < tocsin.Reader {
		return nil, 0, false, notFound()
	}
	for range stepsPerList {
		leaves, err := s.Records.List(ctx, string(receipt.KindDisclosure), community, from, recordsPerStep)
		if err != nil {
			return nil, 0, false, fmt.Errorf("list: %w", err)
		}
		for _, leaf := range leaves {
			d, public, err := read(leaf)
			if err != nil {
				return nil, 0, false, err
			}
			if public && len(found) == most {
				return found, leaf.Index, true, nil
			}
			if public {
				found = append(found, d)
			}
			from = leaf.Index + 1
		}
		if len(leaves) < recordsPerStep {
			return found, from, false, nil
		}
	}
	return found, from, true, nil
}

// read takes a disclosure from its record, and reports whether its reader
// wields public power: only such reads are shown to the community.
func read(leaf store.Leaf) (Disclosure, bool, error) {
	d := Disclosure{Leaf: leaf.Index}
	if err := json.Unmarshal(leaf.Statement, &d.Disclosure); err != nil { // the hub wrote it
		return Disclosure{}, false, fmt.Errorf("record %d: %w", leaf.Index, err)
	}
	return d, tocsin.Organization{Kind: d.OrganizationKind}.Institutional(), nil
}

// WithdrawalReceipt returns the proof of a withdrawal, not found for anybody but
// the organization that withdrew, the community's curators, and the hub's
// operators for what their organization erased.
func (s *Service) WithdrawalReceipt(ctx context.Context, who tocsin.Member, leaf int64) (receipt.Proof, error) {
	if who.Operator {
		if proof, err := s.erased(ctx, who, leaf); err != nil || len(proof.Checkpoint) > 0 {
			return proof, err
		}
	}
	for community, role := range who.Roles {
		if role < tocsin.Reader {
			continue
		}
		leaves, err := s.Records.List(ctx, string(receipt.KindWithdrawal), community, leaf, 1)
		if err != nil {
			return receipt.Proof{}, fmt.Errorf("list: %w", err)
		}
		if len(leaves) == 0 || leaves[0].Index != leaf {
			continue
		}
		var w receipt.Withdrawal
		if err := json.Unmarshal(leaves[0].Statement, &w); err != nil { // the hub wrote it
			return receipt.Proof{}, fmt.Errorf("record %d: %w", leaf, err)
		}
		if w.Organization != who.Organization.Name && role < tocsin.Curator {
			return receipt.Proof{}, notFound()
		}
		return s.receipt(ctx, leaf)
	}
	return receipt.Proof{}, notFound()
}

// erased returns the proof of an erasure by the member's organization; the zero
// value when the record is anything else.
func (s *Service) erased(ctx context.Context, who tocsin.Member, leaf int64) (receipt.Proof, error) {
	proof, err := s.Records.Receipt(ctx, leaf)
	if e, ok := errors.AsType[*tocsin.Error](err); ok && e.Kind == tocsin.NotFound {
		return receipt.Proof{}, nil
	}
	if err != nil {
		return receipt.Proof{}, fmt.Errorf("receipt: %w", err)
	}
	record, err := proof.Claimed()
	if err != nil || record.Kind != receipt.KindWithdrawal {
		return receipt.Proof{}, err //nolint:wrapcheck // says what it is
	}
	var w receipt.Withdrawal
	if err := json.Unmarshal(record.Statement, &w); err != nil { // the hub wrote it
		return receipt.Proof{}, fmt.Errorf("record %d: %w", leaf, err)
	}
	if w.Cause != receipt.Erased || w.Organization != who.Organization.Name {
		return receipt.Proof{}, nil
	}
	return proof, nil
}

// DisclosureReceipt returns the proof of a read by an institution, not found
// for anybody who has no part in the community in which it read.
func (s *Service) DisclosureReceipt(ctx context.Context, who tocsin.Member, leaf int64) (receipt.Proof, error) {
	for community, role := range who.Roles {
		if role < tocsin.Reader {
			continue
		}
		leaves, err := s.Records.List(ctx, string(receipt.KindDisclosure), community, leaf, 1)
		if err != nil {
			return receipt.Proof{}, fmt.Errorf("list: %w", err)
		}
		if len(leaves) == 0 || leaves[0].Index != leaf {
			continue
		}
		if _, public, err := read(leaves[0]); err != nil || !public {
			return receipt.Proof{}, errOr(err, notFound())
		}
		return s.receipt(ctx, leaf)
	}
	return receipt.Proof{}, notFound()
}

func errOr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

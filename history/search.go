package history

import (
	"maps"
	"slices"
	"strings"

	"kargo"
)

// numbersBy are the numbers of deployments by something that they have, ascending. Some of
// them may be gone.
type numbersBy[K ~string] map[K][]uint64

func (n numbersBy[K]) add(key K, number uint64) {
	numbers := n[key]
	if at, known := slices.BinarySearch(numbers, number); !known {
		n[key] = slices.Insert(numbers, at, number)
	}
}

// startingWith returns the numbers of all keys that begin with a text, ascending.
func (n numbersBy[K]) startingWith(start string) (numbers []uint64) {
	for key, some := range n {
		if strings.HasPrefix(string(key), start) {
			numbers = append(numbers, some...)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

func (n numbersBy[K]) tidy(gone func(uint64) bool) {
	maps.DeleteFunc(n, func(key K, numbers []uint64) bool {
		n[key] = slices.DeleteFunc(numbers, gone)
		return len(n[key]) == 0
	})
}

// sort notes by what a deployment can be found.
func (i *index) sort(d *kargo.Deployment) {
	for _, name := range d.MayBeAbout() {
		i.names.add(name, d.Number)
	}
	if id := d.Revision.ID(); id != "" {
		i.revisions.add(id, d.Number)
		i.commits.add(id, d.Number)
	}
	for _, commit := range d.Commits {
		i.commits.add(kargo.RevisionID(commit.Hash), d.Number)
	}
}

// DeploymentsAbout returns the deployments that were about a stack, as
// [Store.Deployments] does. It reads no others.
func (s *Store) DeploymentsAbout(stack string, before uint64, limit int) ([]kargo.Deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readNewest(s.index.names[stack], before, limit, func(d *kargo.Deployment) bool {
		return slices.Contains(d.MayBeAbout(), stack) // a plan may have become another one
	}), nil
}

// DeploymentsOf returns the deployments of the revisions that begin with a text, and those
// that brought such a commit; the newest first. limit is how many it returns at most; 0
// means all. It reads no others.
func (s *Store) DeploymentsOf(start string, limit int) ([]kargo.Deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readNewest(s.index.commits.startingWith(start), 0, limit, nil), nil
}

// RevisionNamed returns the revision whose commit begins with a text, or "" where there is
// none: of several, that which was deployed last. It reads no deployment.
func (s *Store) RevisionNamed(start string) (kargo.RevisionID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found kargo.RevisionID
	var last uint64
	for id, numbers := range s.index.revisions {
		if newest := numbers[len(numbers)-1]; newest > last && !s.index.gone(newest) && strings.HasPrefix(string(id), start) {
			found, last = id, newest
		}
	}
	return found, nil
}

// readNewest reads those of some deployments that have numbers below before and that fit,
// the newest first; nil fits all. One that cannot be read is left out. The caller has the
// lock.
func (s *Store) readNewest(numbers []uint64, before uint64, limit int, fits func(*kargo.Deployment) bool) []kargo.Deployment {
	if before > 0 {
		end, _ := slices.BinarySearch(numbers, before)
		numbers = numbers[:end]
	}
	deployments := []kargo.Deployment{}
	for _, number := range slices.Backward(numbers) {
		if limit > 0 && len(deployments) == limit {
			break
		}
		if s.index.gone(number) {
			continue
		}
		if deployment, err := s.assemble(number); err == nil && (fits == nil || fits(deployment)) {
			deployments = append(deployments, *deployment)
		}
	}
	return deployments
}

package permit_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/permit"
)

// What a workspace takes of that which all share is limited: subnets of the Swarm, and
// the store of the managers. What it has looked up in registries is judged like what it
// runs.
func TestS41_WhatAllShareIsLimited(t *testing.T) {
	stack := kargo.Stack{Name: "web", Configs: []kargo.Config{
		{Name: "kargo-web_a", Data: make([]byte, 40<<20)},
		{Name: "kargo-web_b", Data: make([]byte, 40<<20), Secret: true},
		{Name: "others", External: true, Data: make([]byte, 1<<30)},
	}}
	replicas := uint64(19)
	stack.Services = []kargo.Service{
		{Name: "kargo-web_long", Spec: swarm.ServiceSpec{Mode: swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &replicas}},
			TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: "ghcr.io/acme/x", Env: []string{"A=" + strings.Repeat("x", 1<<20-2)}}}}},
		{Name: "kargo-web_usual", Spec: swarm.ServiceSpec{TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: "ghcr.io/acme/x", Env: []string{"A=b"}}}}},
	}
	for i := range 300 {
		stack.Networks = append(stack.Networks, kargo.Network{Name: fmt.Sprintf("kargo-web_%d", i), Driver: "overlay"})
	}
	in := permit.Input{Stacks: []kargo.Stack{stack}, Images: []kargo.ImageRule{
		{Variable: "APP_TAG", Image: "10.0.0.1:8080/x", Where: kargo.Place{File: "kargo.yml", Line: 3}},
		{Variable: "OTHER_TAG", Image: "ghcr.io/acme/x", Where: kargo.Place{File: "kargo.yml", Line: 4}},
	}}
	var got []string
	for _, problem := range permit.Check(policy(t, permit.Restricted, "registries=ghcr.io/acme/*\nexternal-configs=others"), in) {
		said, _, _ := strings.Cut(problem.String(), ", which rule")
		got = append(got, said)
	}
	want := ".env: the workspace makes 300 networks\n.env: the workspace stores 100MiB on the managers: configs, secrets, and for each task the texts of its service\nkargo.yml:3: the rule of APP_TAG has an image from 10.0.0.1:8080"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

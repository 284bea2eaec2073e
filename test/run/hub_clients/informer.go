// SPDX-License-Identifier: Apache-2.0

// A stranger's controller: client-go's shared informers and dynamic client against a hub, through the kubeconfig that
// the hub wrote. It prints TAP. Between the two halves the shell restarts the hub: "restart" is asked for on stdout, and
// a line on stdin says that it was done.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

var (
	configmaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	pods        = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	count       int
	failed      bool
	stdin       = bufio.NewReader(os.Stdin)
)

func ok(good bool, format string, args ...any) {
	count++
	word := "ok"
	if !good {
		word, failed = "not ok", true
	}
	fmt.Printf("%s %d - client-go: %s\n", word, count, fmt.Sprintf(format, args...))
}

func must(err error, what string) {
	ok(err == nil, "%s", what)
	if err != nil {
		fmt.Printf("# %v\n", err)
	}
}

// Asks the shell for something and waits until it was done.
func shell(word string) {
	fmt.Println("do " + word)
	_, _ = stdin.ReadString('\n')
}

func until(what string, good func() bool) {
	end := time.Now().Add(30 * time.Second)
	for !good() && time.Now().Before(end) {
		time.Sleep(20 * time.Millisecond)
	}
	ok(good(), "%s", what)
}

func object(text string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(text), &u.Object); err != nil {
		panic(err)
	}
	return u
}

func configmap(name, value string) *unstructured.Unstructured {
	return object(fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"labels":{"of":"informer"}},"data":{"a":%q}}`, name, value))
}

// What an informer was told, and how often its client listed, watched, and was told of an error.
type seen struct {
	sync.Mutex
	added, changed, resynced, deleted map[string]int
	lists, watches, errors, expired   int
}

func (s *seen) note(m map[string]int, o any) {
	if last, gone := o.(cache.DeletedFinalStateUnknown); gone {
		o = last.Obj
	}
	a, err := meta.Accessor(o)
	if err != nil {
		panic(err)
	}
	s.Lock()
	m[a.GetName()]++
	s.Unlock()
}

func (s *seen) get(m map[string]int, name string) int {
	s.Lock()
	defer s.Unlock()
	return m[name]
}

func (s *seen) number(n *int) int {
	s.Lock()
	defer s.Unlock()
	return *n
}

func inform(c dynamic.ResourceInterface, selector string, stop chan struct{}) (*seen, cache.SharedIndexInformer) {
	s := &seen{added: map[string]int{}, changed: map[string]int{}, resynced: map[string]int{}, deleted: map[string]int{}}
	lw := &cache.ListWatch{
		ListFunc: func(o metav1.ListOptions) (runtime.Object, error) {
			s.Lock()
			s.lists++
			s.Unlock()
			o.LabelSelector = selector
			return c.List(context.TODO(), o)
		},
		WatchFunc: func(o metav1.ListOptions) (watch.Interface, error) {
			s.Lock()
			s.watches++
			s.Unlock()
			o.LabelSelector = selector
			return c.Watch(context.TODO(), o)
		},
	}
	i := cache.NewSharedIndexInformer(lw, &unstructured.Unstructured{}, time.Second,
		cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	_ = i.SetWatchErrorHandler(func(_ *cache.Reflector, err error) {
		s.Lock()
		s.errors++
		if errors.IsResourceExpired(err) || errors.IsGone(err) {
			s.expired++
		}
		s.Unlock()
	})
	_, _ = i.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { s.note(s.added, o) },
		UpdateFunc: func(a, b any) {
			x, _ := meta.Accessor(a)
			y, _ := meta.Accessor(b)
			if x.GetResourceVersion() == y.GetResourceVersion() {
				s.note(s.resynced, b)
			} else {
				s.note(s.changed, b)
			}
		},
		DeleteFunc: func(o any) { s.note(s.deleted, o) },
	})
	go i.Run(stop)
	ok(cache.WaitForCacheSync(stop, i.HasSynced), "an informer of %q has the state", selector)
	return s, i
}

// What the hub says of an object is what the informer keeps of it.
func agrees(c dynamic.ResourceInterface, i cache.SharedIndexInformer, selector string) bool {
	l, err := c.List(context.TODO(), metav1.ListOptions{LabelSelector: selector})
	if err != nil || len(l.Items) != len(i.GetStore().List()) {
		return false
	}
	for _, o := range l.Items {
		kept, there, _ := i.GetStore().GetByKey(o.GetNamespace() + "/" + o.GetName())
		if !there || kept.(*unstructured.Unstructured).GetResourceVersion() != o.GetResourceVersion() {
			return false
		}
	}
	return true
}

func writes(c dynamic.Interface, cm dynamic.ResourceInterface) {
	ctx := context.TODO()
	made, err := cm.Create(ctx, configmap("one", "1"), metav1.CreateOptions{})
	must(err, "create")
	_, err = cm.Create(ctx, configmap("one", "1"), metav1.CreateOptions{})
	ok(errors.IsAlreadyExists(err), "create again is AlreadyExists")
	made.Object["data"] = map[string]any{"a": "2"}
	newer, err := cm.Update(ctx, made, metav1.UpdateOptions{})
	must(err, "update")
	_, err = cm.Update(ctx, made, metav1.UpdateOptions{})
	ok(errors.IsConflict(err), "update of an old version is Conflict")
	_, err = cm.Patch(ctx, "one", types.MergePatchType, []byte(`{"data":{"b":"3"}}`), metav1.PatchOptions{})
	must(err, "merge patch")
	_, err = cm.Patch(ctx, "one", types.JSONPatchType, []byte(`[{"op":"test","path":"/data/a","value":"9"}]`), metav1.PatchOptions{})
	ok(errors.IsInvalid(err), "a JSON patch whose test fails is Invalid")
	_, err = cm.Patch(ctx, "one", types.JSONPatchType, []byte(`[{"op":"replace","path":"/data/a","value":"4"}]`), metav1.PatchOptions{})
	must(err, "JSON patch")
	got, err := cm.Get(ctx, "one", metav1.GetOptions{})
	must(err, "get")
	data, _, _ := unstructured.NestedStringMap(got.Object, "data")
	ok(len(data) == 2 && data["a"] == "4" && data["b"] == "3", "all of it is there: %v", data)
	ok(got.GetUID() == made.GetUID() && newer.GetResourceVersion() != got.GetResourceVersion(), "with its uid and a newer version")

	apply := configmap("one", "5")
	apply.SetManagedFields(nil)
	_, err = cm.Apply(ctx, "one", apply, metav1.ApplyOptions{FieldManager: "stranger"})
	ok(errors.IsConflict(err) && errors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict), "server-side apply of another's field is a conflict of managers")
	_, err = cm.Apply(ctx, "one", apply, metav1.ApplyOptions{FieldManager: "stranger", Force: true})
	must(err, "server-side apply by force")
	apply = configmap("two", "1")
	_, err = cm.Apply(ctx, "two", apply, metav1.ApplyOptions{FieldManager: "stranger"})
	must(err, "server-side apply of something new")

	_, err = c.Resource(deployments).Namespace("clients").Create(ctx, object(`{"apiVersion":"apps/v1","kind":"Deployment",
		"metadata":{"name":"web"},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":
		{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`), metav1.CreateOptions{})
	must(err, "create a Deployment")
	_, err = c.Resource(deployments).Namespace("clients").Patch(ctx, "web", types.StrategicMergePatchType,
		[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"c","env":[{"name":"A","value":"b"}]}]}}}}`), metav1.PatchOptions{})
	must(err, "strategic merge patch")
	web, err := c.Resource(deployments).Namespace("clients").Get(ctx, "web", metav1.GetOptions{})
	must(err, "get it")
	list, _, _ := unstructured.NestedSlice(web.Object, "spec", "template", "spec", "containers")
	ok(len(list) == 1 && list[0].(map[string]any)["image"] == "i", "containers were merged by name")
	_, err = c.Resource(pods).Namespace("clients").Create(ctx, object(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"bad"},
		"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":70000}]}]}}`), metav1.CreateOptions{})
	status, is := err.(errors.APIStatus)
	ok(is && errors.IsInvalid(err) && status.Status().Details != nil && len(status.Status().Details.Causes) > 0 &&
		status.Status().Details.Causes[0].Field == "spec.containers[0].ports[0].containerPort",
		"what is refused names the field: %v", err)
	page, err := cm.List(ctx, metav1.ListOptions{Limit: 1})
	ok(err == nil && len(page.Items) == 1 && page.GetContinue() != "", "a list in pieces")
	_, err = cm.List(ctx, metav1.ListOptions{Limit: 1, Continue: page.GetContinue()})
	must(err, "and its second piece")
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	must(err, "reads the kubeconfig")
	config.QPS, config.Burst = 500, 500
	c, err := dynamic.NewForConfig(config)
	must(err, "makes a client")
	ctx := context.TODO()
	_, err = c.Resource(namespaces).Create(ctx, object(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"clients"}}`), metav1.CreateOptions{})
	must(err, "create a Namespace")
	cm := c.Resource(configmaps).Namespace("clients")
	stop := make(chan struct{})
	all, informer := inform(cm, "", stop)
	of, ofInformer := inform(cm, "of=informer", stop)
	writes(c, cm)
	until("the informer is told what was made", func() bool { return all.get(all.added, "one") == 1 && all.get(all.added, "two") == 1 })
	until("and each change", func() bool { return all.get(all.changed, "one") >= 3 })
	until("a resync tells what is known again", func() bool { return all.get(all.resynced, "one") >= 1 })
	_, err = cm.Patch(ctx, "two", types.MergePatchType, []byte(`{"metadata":{"labels":{"of":null}}}`), metav1.PatchOptions{})
	must(err, "take a label away")
	until("what a selector leaves is deleted to it", func() bool { return of.get(of.deleted, "two") == 1 && all.get(all.deleted, "two") == 0 })
	must(cm.Delete(ctx, "two", metav1.DeleteOptions{}), "delete")
	ok(errors.IsNotFound(cm.Delete(ctx, "two", metav1.DeleteOptions{})), "delete again is NotFound")
	until("the informer is told", func() bool { return all.get(all.deleted, "two") == 1 })

	// The hub dies, and comes back after a change: the versions that the informers know are Expired (410), so they list.
	lists := all.number(&all.lists)
	shell("restart")
	until("after kill -9 of the hub the informers list again", func() bool { return all.number(&all.lists) > lists })
	ok(all.number(&all.expired) > 0, "since what they knew was Expired")
	until("and find what they did not see", func() bool {
		o, there, _ := informer.GetStore().GetByKey("clients/one")
		if !there {
			return false
		}
		data, _, _ := unstructured.NestedStringMap(o.(*unstructured.Unstructured).Object, "data")
		return data["unseen"] == "clients"
	})
	_, err = cm.Create(ctx, configmap("three", "1"), metav1.CreateOptions{})
	must(err, "create after the restart")
	until("and is told", func() bool { return all.get(all.added, "three") == 1 && of.get(of.added, "three") == 1 })
	until("their stores are as the hub's", func() bool { return agrees(cm, informer, "") && agrees(cm, ofInformer, "of=informer") })

	// More changes pass than the history of the hub keeps, while a watch does not read.
	_, err = cm.Watch(ctx, metav1.ListOptions{ResourceVersion: "1"})
	ok(errors.IsResourceExpired(err) || errors.IsGone(err), "a watch from a version before the history is Expired")
	old, err := cm.List(ctx, metav1.ListOptions{})
	must(err, "list")
	w, err := cm.Watch(ctx, metav1.ListOptions{ResourceVersion: old.GetResourceVersion()})
	must(err, "watch, and read nothing")
	shell("flood")
	expired := false
	end := time.After(30 * time.Second)
	for more := true; more && !expired; {
		select {
		case e, open := <-w.ResultChan():
			more = open
			if e.Type == watch.Error {
				err := errors.FromObject(e.Object)
				expired = errors.IsResourceExpired(err) || errors.IsGone(err)
			}
		case <-end:
			more = false
		}
	}
	ok(expired, "a watch that is slower than the history ends with Expired")
	until("the informers' stores are as the hub's", func() bool { return agrees(cm, informer, "") && agrees(cm, ofInformer, "of=informer") })
	must(cm.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}), "delete of the collection")
	until("empties them", func() bool { return len(informer.GetStore().List()) == 0 && len(ofInformer.GetStore().List()) == 0 })
	close(stop)
	fmt.Printf("count %d\n", count)
	if failed {
		os.Exit(1)
	}
}

# The first process of the cluster's namespaces: all others are below it, and end with it.
#
# Its folder is mounted at /mnt; files.rs says what is in it. What the programs write elsewhere goes to file systems that
# only they see.
set -eu
folder=$1 assets=$2 built=$3
mount --make-rshared /
mount --bind "$folder" /mnt
mount --bind "$assets" /mnt/assets
mount --bind "$built" /mnt/built
cd /mnt
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mount --bind /mnt/lib /var/lib
export PATH=/mnt/assets:/mnt/built:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export KUBECONFIG=/mnt/kubeconfig KUBECACHEDIR=/run/kubectl

ip link set lo up
# The cable to the machine is laid from outside, and then the files that name its address are written.
until [ -e address ]; do sleep 0.05; done
address=$(cat address)
ip address add "$address/30" dev host
ip link set host up
# kube-apiserver wants to be on a network that leads somewhere.
ip route add default via "${address%.*}.1"
echo 1 > /proc/sys/net/ipv4/ip_forward

# Whoever waits for the cluster reads in `ended` what ended too early.
start() {
    { "$@" > "logs/$1.log" 2>&1 && why=0 || why=$?; echo "$1 $why" >> ended; } &
}

start etcd --data-dir /var/lib/etcd --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380
start kube-apiserver --etcd-servers=http://127.0.0.1:2379 --cert-dir=certificates \
    --bind-address="$address" --advertise-address="$address" --secure-port=6443 \
    --service-cluster-ip-range=10.96.0.0/16 --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file=certificates/apiserver.key \
    --service-account-signing-key-file=certificates/apiserver.key \
    --token-auth-file=tokens.csv --authorization-mode=RBAC --allow-privileged \
    --kubelet-preferred-address-types=InternalIP
start containerd --config containerd.toml
until [ -s certificates/apiserver.key ] && kubectl get --raw /readyz > /dev/null 2>&1; do sleep 0.2; done
start kube-controller-manager --kubeconfig=kubeconfig --root-ca-file=certificates/apiserver.crt \
    --service-account-private-key-file=certificates/apiserver.key --use-service-account-credentials \
    --bind-address=127.0.0.1 --leader-elect=false
start kube-scheduler --kubeconfig=kubeconfig --leader-elect=false --bind-address=127.0.0.1
start coredns -conf Corefile
start kube-proxy --kubeconfig=kubeconfig --hostname-override=node --proxy-mode=iptables \
    --cluster-cidr=10.244.0.0/24 --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 \
    --conntrack-tcp-timeout-close-wait=0
until [ -S /run/containerd/containerd.sock ]; do sleep 0.1; done
ctr -n k8s.io images import pause.tar > logs/pause.log 2>&1
start kubelet --config=kubelet.yaml --kubeconfig=kubeconfig --hostname-override=node --node-ip="$address"

# Containers whose parents are gone come here to be waited for.
while :; do wait || true; sleep 0.2; done

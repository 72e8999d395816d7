(() => {
  const every = 10000, lost = document.getElementById('lost');
  let at = Date.now();
  async function refresh() {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, {cache: 'no-store', signal: AbortSignal.timeout(8000)});
      if (!answer.ok) throw new Error(answer.status);
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const fresh = next.querySelector('main');
      if (!fresh) throw new Error('no page');
      for (const id of ['headline', 'body', 'checked']) {
        const here = document.getElementById(id), there = next.getElementById(id);
        if (here && there && here.innerHTML !== there.innerHTML) here.replaceWith(there);
      }
      document.title = next.title;
      at = Date.now();
      lost.className = 'bad';
    } catch (error) {
      lost.querySelector('span').textContent = new Date(at).toLocaleTimeString();
      lost.className = 'bad shown';
    }
  }
  setInterval(refresh, every);
  document.addEventListener('visibilitychange', refresh);
})();

// Drives a proxy at 127.0.0.1:<port> through BullMQ: a queue, a worker, delayed, repeated,
// prioritized and failing jobs, and a flow. Prints "ok" at the end. The prefix is a hash tag,
// as BullMQ's documentation has it for several servers.

import assert from 'node:assert/strict';
import { FlowProducer, Queue, QueueEvents, Worker } from 'bullmq';

const connection = { host: '127.0.0.1', port: Number(process.argv[2]), maxRetriesPerRequest: null };
const options = { connection, prefix: '{bull}' };

const queue = new Queue('work', options);
const events = new QueueEvents('work', options);
let failures = 0;
const worker = new Worker('work', async (job) => {
  if (job.name === 'fails' && failures++ < 2) throw new Error('as it should');
  if (job.name === 'parent') return Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0);
  return job.data.x + 1;
}, { ...options, concurrency: 4 });
await events.waitUntilReady();

const done = (job) => job.waitUntilFinished(events, 30_000);
const jobs = await queue.addBulk(Array.from({ length: 20 }, (_, x) => ({ name: 'adds', data: { x } })));
assert.deepEqual(await Promise.all(jobs.map(done)), Array.from({ length: 20 }, (_, x) => x + 1));
assert.equal(await done(await queue.add('late', { x: 5 }, { delay: 300 })), 6);
assert.equal(await done(await queue.add('first', { x: 6 }, { priority: 1 })), 7);
assert.equal(await done(await queue.add('fails', { x: 7 }, { attempts: 3, backoff: 50 })), 8);
assert.equal(failures, 3);

const flow = new FlowProducer(options);
const tree = await flow.add({
  name: 'parent', queueName: 'work',
  children: [1, 2, 3].map((x) => ({ name: 'adds', queueName: 'work', data: { x } })),
});
assert.equal(await done(tree.job), 9);

let times = 0;
const twice = new Promise((resolve) => worker.on('completed', (job) => job.name === 'again' && ++times === 2 && resolve()));
await queue.upsertJobScheduler('again', { every: 200 }, { name: 'again', data: { x: 1 } });
await twice;
await queue.removeJobScheduler('again');

assert.equal((await queue.getJobCounts('failed')).failed, 0);
await worker.close();
await Promise.all([queue.close(), events.close(), flow.close()]);
console.log('ok');

import type { Dispatch } from "../lowering.ts";
import type { MatmulProblem } from "./matmul-problem.ts";
import { eight, visits } from "./movement-loops.ts";

/** One way to multiply run-time matrices. */
export interface MatmulVariant {
  readonly name: string;
  readonly kernel: Dispatch["kernel"];
  readonly spec: Readonly<Record<string, number>>;
  /** Rows and columns that one workgroup computes. */
  readonly tile: readonly [number, number];
  /** Lanes that subgroups must have at least; 0 where it needs none. */
  readonly subgroup: number;
  applicable(problem: MatmulProblem): boolean;
  /** It has no groups where y is empty. */
  dispatch(problem: MatmulProblem): Dispatch;
}

const params = (p: MatmulProblem): NonNullable<Dispatch["params"]> => ({
  rows: p.rows,
  columns: p.columns,
  inner: p.inner,
  batch: visits(p.batch),
  a_base: 0,
  a_row: p.a.rowStep,
  a_inner: p.a.columnStep,
  b_base: 0,
  b_inner: p.b.rowStep,
  b_column: p.b.columnStep,
  has_c: p.c ? 1 : 0,
  c_base: 0,
  c_row: p.c?.rowStep ?? 0,
  c_column: p.c?.columnStep ?? 0,
  batch_rank: p.batch.length,
  alpha: p.alpha,
  beta: p.beta,
  act_a: p.activation.a,
  act_b: p.activation.b,
  batch_shape: eight(p.batch, (l) => l.size, 1),
  a_batch: eight(p.batch, (l) => l.steps[0]!, 0),
  b_batch: eight(p.batch, (l) => l.steps[1]!, 0),
});

interface Shapes {
  readonly name: string;
  readonly kernel: MatmulVariant["kernel"];
  readonly spec: MatmulVariant["spec"];
  readonly tile: MatmulVariant["tile"];
  readonly constants?: Readonly<Record<string, number>>;
  readonly applicable?: (p: MatmulProblem) => boolean;
}

const variant = ({ applicable = () => true, ...rest }: Shapes): MatmulVariant => ({
  ...rest,
  subgroup: 0,
  applicable,
  dispatch(problem) {
    const { rows, columns, a, b, c, y, activation } = problem;
    const tiles = Math.ceil(rows / rest.tile[0]) * Math.ceil(columns / rest.tile[1]);
    return {
      kernel: rest.kernel,
      spec: rest.spec,
      constants: { ACT: activation.code, ...rest.constants },
      bindings: { a: a.operand, b: b.operand, c: (c ?? a).operand, y: y },
      params: params(problem),
      groups: tiles * visits(problem.batch),
    };
  },
});

const registers = (R: number, V: number, workgroup: number): MatmulVariant =>
  variant({
    name: `registers ${R}x${V} of ${workgroup}`,
    kernel: "matmul/register",
    spec: { R, V },
    tile: [R, V * workgroup],
    constants: { WG_SIZE: workgroup },
  });

const fourths = (n: number): boolean => n % 4 === 0;

/** Are rows of A contiguous along k and rows of B along the columns, and does everything come in fours? */
function vectors({ columns, inner, batch, a, b }: MatmulProblem): boolean {
  const steps = [a.rowStep, b.rowStep, ...batch.flatMap((l) => l.steps.slice(0, 2))];
  return (
    fourths(columns) && fourths(inner) && a.columnStep === 1 && b.columnStep === 1 && steps.every(fourths)
  );
}

const vector = (R: number, V: number, workgroup: number): MatmulVariant =>
  variant({
    name: `vectors ${R}x${V} of ${workgroup}`,
    kernel: "matmul/vector",
    spec: { R, V },
    tile: [R, V * workgroup * 4],
    constants: { WG_SIZE: workgroup },
    applicable: vectors,
  });

/** The same with rows of A passed from lane to lane: where a load that all threads do alike costs as much as any other. */
const shuffled = (R: number, V: number, workgroup: number): MatmulVariant => ({
  ...variant({
    name: `shuffled ${R}x${V} of ${workgroup}`,
    kernel: "matmul/shuffle",
    spec: { R, V },
    tile: [R, V * workgroup * 4],
    constants: { WG_SIZE: workgroup },
    applicable: vectors,
  }),
  subgroup: 8,
});

const tiled = (SIDE: number, T: number, K: number): MatmulVariant =>
  variant({
    name: `tiles ${SIDE * T}x${SIDE * T} by ${K}, ${T}x${T} each`,
    kernel: "matmul/tiled",
    spec: { SIDE, T, K },
    tile: [SIDE * T, SIDE * T],
  });

/** Every run-time matrix product: tests and benchmarks go through them all. */
export const matmulVariants: readonly MatmulVariant[] = [
  registers(1, 1, 64),
  registers(4, 1, 64),
  registers(4, 2, 32),
  registers(8, 1, 32),
  vector(1, 1, 64),
  vector(4, 1, 16),
  vector(4, 2, 16),
  vector(8, 1, 16),
  vector(8, 2, 8),
  shuffled(8, 4, 8),
  shuffled(16, 2, 8),
  shuffled(32, 1, 8),
  tiled(8, 4, 16),
  tiled(16, 4, 16),
  tiled(16, 8, 8),
];
